// EBS encryption by default: whether an account's new volumes are encrypted without being asked.

import type { Ec2Handlers } from '../aws/handlers.ts'
import { endDryRun } from '../ec2/input.ts'
import type { State } from '../store/state.ts'

type DefaultHandlers = Required<
  Pick<
    Ec2Handlers,
    'GetEbsEncryptionByDefault' | 'EnableEbsEncryptionByDefault' | 'DisableEbsEncryptionByDefault'
  >
>

export function encryptionDefaultHandlers({ state }: { readonly state: State }): DefaultHandlers {
  const set = async (account: string, encryptionByDefault: boolean): Promise<void> => {
    await state.update(async (tx) => {
      const settings = await tx.get('ebs-settings', account)
      await tx.put('ebs-settings', [account], { ...settings, account, encryptionByDefault })
    })
  }
  return {
    GetEbsEncryptionByDefault: async ({ caller: { account } }, input) => {
      endDryRun(input)
      const settings = (await state.fresh()).get('ebs-settings', account)
      return { EbsEncryptionByDefault: settings?.encryptionByDefault ?? false }
    },

    EnableEbsEncryptionByDefault: async ({ caller: { account } }, input) => {
      endDryRun(input)
      await set(account, true)
      return { EbsEncryptionByDefault: true }
    },

    DisableEbsEncryptionByDefault: async ({ caller: { account } }, input) => {
      endDryRun(input)
      await set(account, false)
      return { EbsEncryptionByDefault: false }
    },
  }
}
