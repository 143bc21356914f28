// Recurrences of scheduled actions: the cron expressions of five fields that Auto Scaling takes,
// and when they are due next in a time zone. Pure (user guide, "Scheduled scaling").

interface Cron {
  readonly minutes: readonly number[]
  readonly hours: readonly number[]
  readonly days: ReadonlySet<number>
  readonly months: ReadonlySet<number>
  /** 0 is Sunday. */
  readonly weekdays: ReadonlySet<number>
  /** Where both days are said, either is enough. */
  readonly either: boolean
}

const MONTHS = 'JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC'.split(' ')
const WEEKDAYS = 'SUN MON TUE WED THU FRI SAT'.split(' ')
const MINUTE_MS = 60_000
const DAY_MS = 86_400_000
/** From one 29 February to the next there may be eight years. */
const MAX_DAYS = 8 * 366 + 2
const PART = /^(\*|\w+)(?:-(\w+))?(?:\/(\d{1,4}))?$/

/** Null for what is none. */
export function parseCron(text: string): Cron | null {
  const fields = text.trim().split(/\s+/)
  if (fields.length !== 5) return null
  const [minute = '', hour = '', day = '', month = '', weekday = ''] = fields
  const minutes = valuesOf(minute, 0, 59)
  const hours = valuesOf(hour, 0, 23)
  const days = valuesOf(day, 1, 31)
  const months = valuesOf(month, 1, 12, MONTHS, 1)
  const weekdays = valuesOf(weekday, 0, 7, WEEKDAYS, 0)
  if (!(minutes && hours && days && months && weekdays)) return null
  return {
    minutes,
    hours,
    days: new Set(days),
    months: new Set(months),
    weekdays: new Set(weekdays.map((one) => one % 7)),
    either: !day.startsWith('*') && !weekday.startsWith('*'),
  }
}

/** Ascending; null for a field that is none. */
function valuesOf(
  text: string,
  least: number,
  most: number,
  names: readonly string[] = [],
  first = 0,
): number[] | null {
  const numberOf = (word: string): number => {
    const named = names.indexOf(word.toUpperCase())
    return named >= 0 ? named + first : /^\d{1,2}$/.test(word) ? Number(word) : -1
  }
  const values = new Set<number>()
  for (const part of text.split(',')) {
    const [, from = '', to, step] = PART.exec(part) ?? []
    const isAll = from === '*'
    const begin = isAll ? least : numberOf(from)
    const end = to !== undefined ? numberOf(to) : isAll || step !== undefined ? most : begin
    const by = Number(step ?? 1)
    if (begin < least || end > most || begin > end || by < 1 || (isAll && to !== undefined)) {
      return null
    }
    for (let value = begin; value <= end; value += by) values.add(value)
  }
  return [...values].sort((a, b) => a - b)
}

/** Is it an IANA name of a time zone? */
export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return /^[A-Za-z]/.test(name)
  } catch {
    return false
  }
}

/** The first time after `afterMs`; null when there is none within eight years. */
export function nextTime(cron: Cron, timeZone: string, afterMs: number): number | null {
  // A day earlier: there it may still be yesterday.
  const startMs = Math.floor(afterMs / DAY_MS) * DAY_MS - DAY_MS
  for (let n = 0; n < MAX_DAYS; n += 1) {
    const dayMs = startMs + n * DAY_MS
    if (!isDay(cron, new Date(dayMs))) continue
    const times = cron.hours.flatMap((hour) =>
      cron.minutes.flatMap((minute) => {
        const localMs = dayMs + (hour * 60 + minute) * MINUTE_MS
        return utcOf(localMs, timeZone)
      }),
    )
    const [next] = times.filter((ms) => ms > afterMs).sort((a, b) => a - b)
    if (next !== undefined) return next
  }
  return null
}

function isDay({ days, months, weekdays, either }: Cron, date: Date): boolean {
  if (!months.has(date.getUTCMonth() + 1)) return false
  const isDate = days.has(date.getUTCDate())
  const isWeekday = weekdays.has(date.getUTCDay())
  return either ? isDate || isWeekday : isDate && isWeekday
}

/** When clocks there show this: never where they leap over it, of two times the first. */
function utcOf(localMs: number, timeZone: string): number[] {
  const guesses = [-1, 1].map((day) => localMs - offsetMs(localMs + day * DAY_MS, timeZone))
  const right = guesses.filter((ms) => ms + offsetMs(ms, timeZone) === localMs)
  return right.length === 0 ? [] : [Math.min(...right)]
}

function offsetMs(ms: number, timeZone: string): number {
  const parts = formatOf(timeZone).formatToParts(ms)
  const get = (type: string): number => Number(parts.find((part) => part.type === type)?.value)
  const shown = Date.UTC(get('year'), get('month') - 1, get('day'), get('hour'), get('minute'))
  return shown - Math.floor(ms / MINUTE_MS) * MINUTE_MS
}

function formatOf(timeZone: string): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat('en', {
    ...{ timeZone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric' },
    ...{ hour: 'numeric', minute: 'numeric' },
  })
}
