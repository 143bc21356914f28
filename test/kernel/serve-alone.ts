// What a machine without a world runs as its first program: it answers the test, and no more.

import { answerTest } from './answer.ts'

await answerTest(async () => undefined)
