// Configurations of events that S3 refuses, with what it says.

import type { NotificationConfiguration } from '@aws-sdk/client-s3'

type BadRules = readonly [what: string, rules: NotificationConfiguration, message: RegExp]

export const NO_TARGET = /^Unable to validate the following destination configurations$/
const made = { Events: ['s3:ObjectCreated:*' as const] }
const filter = (Name: string, Value: string) => ({
  Filter: { Key: { FilterRules: [{ Name: Name as 'prefix', Value }] } },
})

/** For the account and region of a webhook's ARN and a stream's. */
export function badRules(TOPIC: string, QUEUE: string): readonly BadRules[] {
  const [, , , region = '', account = ''] = TOPIC.split(':')
  const topic = (more: object) => ({ ...made, TopicArn: TOPIC, ...more })
  return [
    [
      'a function',
      { LambdaFunctionConfigurations: [{ ...made, LambdaFunctionArn: 'arn:aws:lambda:x:1:f' }] },
      NO_TARGET,
    ],
    ['EventBridge', { EventBridgeConfiguration: {} }, NO_TARGET],
    ['no target', { TopicConfigurations: [topic({ TopicArn: `${TOPIC}s` })] }, NO_TARGET],
    ['no ARN', { TopicConfigurations: [topic({ TopicArn: 'hook' })] }, NO_TARGET],
    ['a queue as topic', { TopicConfigurations: [topic({ TopicArn: QUEUE })] }, NO_TARGET],
    [
      "somebody else's",
      { TopicConfigurations: [topic({ TopicArn: TOPIC.replace(account, '1'.repeat(12)) })] },
      NO_TARGET,
    ],
    [
      'another region',
      { TopicConfigurations: [topic({ TopicArn: TOPIC.replace(region, 'mars-1') })] },
      NO_TARGET,
    ],
    [
      'an event that does not happen',
      { TopicConfigurations: [topic({ Events: ['s3:ObjectRestore:*'] })] },
      /^A specified event is not supported for notifications\.$/,
    ],
    [
      'a filter of neither end',
      { TopicConfigurations: [topic({ Filter: { Key: { FilterRules: [{ Value: 'a' }] } } })] },
      /must be either prefix or suffix/,
    ],
    [
      'two prefixes',
      {
        TopicConfigurations: [
          topic({
            Filter: {
              Key: {
                FilterRules: [
                  { Name: 'prefix', Value: 'a' },
                  { Name: 'prefix', Value: 'b' },
                ],
              },
            },
          }),
        ],
      },
      /more than one prefix/,
    ],
    [
      'a filter that is too long',
      { TopicConfigurations: [topic(filter('prefix', 'a'.repeat(1_025)))] },
      /at most 1024 bytes/,
    ],
    [
      'the same twice',
      { TopicConfigurations: [topic({})], QueueConfigurations: [{ ...made, QueueArn: QUEUE }] },
      /cannot share a common event type/,
    ],
    [
      'one id for two',
      {
        TopicConfigurations: [
          topic({ Id: 'x', ...filter('prefix', 'a') }),
          topic({ Id: 'x', ...filter('prefix', 'b') }),
        ],
      },
      /IDs must be unique/,
    ],
    [
      'prefixes that meet',
      {
        TopicConfigurations: [topic(filter('prefix', 'a'))],
        QueueConfigurations: [
          { Events: ['s3:ObjectCreated:Put'], QueueArn: QUEUE, ...filter('prefix', 'ab') },
        ],
      },
      /ambiguously defined/,
    ],
    [
      'a prefix and a suffix that meet',
      { TopicConfigurations: [topic(filter('prefix', 'a')), topic(filter('suffix', 'b'))] },
      /ambiguously defined/,
    ],
  ]
}
