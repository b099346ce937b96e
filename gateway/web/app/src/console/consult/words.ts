// Texts of remote consultations.
import type { Word } from '../../shared/locale.ts';

export const K = {
  mine: ['我的会诊', 'My consultations'],
  none: ['没有会诊。', 'No consultations.'],
  question: ['会诊问题', 'Question'],
  questionHint: ['写明病情和需要的意见，1 至 2000 字。', 'Describe the case and the opinion needed, 1 to 2,000 characters.'],
  invitedOrg: ['受邀机构', 'Invited institution'],
  priority: ['紧急程度', 'Priority'],
  documents: ['提供的资料', 'Documents to show'],
  documentsHint: ['会诊医生只能看到所选资料，会诊结束后即失效。', 'The consultant sees only what you choose, until the consultation ends.'],
  noDocuments: ['没有可选的资料。', 'There is nothing to choose.'],
  chosen: ['已选 {n} 份', '{n} chosen'],
  ask: ['提出会诊', 'Create the consultation'],
  asked: ['会诊已建立，请取得患者同意后提交。', 'Created. Record the patient’s consent, then send it.'],
  goto: ['查看会诊', 'Show consultations'],
  invitation: ['{from} 邀请 {to}', '{from} invites {to}'],
  doctor: ['申请医生', 'Inviting physician'],
  consultant: ['会诊医生', 'Consultant'],
  slot: ['会诊时间', 'Appointment'],
  answerBy: ['应于 {at} 前答复', 'Answer due by {at}'],
  overdue: ['已超时', 'Overdue'],
  steps: ['进度', 'Progress'],
  opinion: ['会诊意见', 'Opinion'],
  opinionHint: ['签署前可修改，签署后不可更改。', 'May be changed until it is signed, never after.'],
  decision: ['处置决定', 'Decision'],
  reason: ['理由', 'Reason'],
  show: ['打开', 'Open'],
  showOf: ['打开会诊：{question}', 'Open consultation: {question}'],
  signedBy: ['同意书签署人', 'Consent signed by'],
  method: ['签署方式', 'How it was signed'],
  feeTold: ['已告知费用', 'The fee was told'],
  start: ['开始', 'Start'],
  end: ['结束', 'End'],
  text: ['治疗决定', 'Treatment decision'],
  textHint: ['治疗责任由申请医生承担。', 'The inviting physician bears the responsibility.'],
  proofValid: ['签名有效，内容未被更改。', 'The signature is valid: nothing was changed.'],
  proofInvalid: ['签名无效！', 'The signature is not valid!'],
  checkProof: ['验证签名', 'Verify the signature'],
  read: ['查看资料', 'Read'],
  saved: ['已办理：{state}', 'Done: {state}'],
  checkedIn: ['已到场', 'Present'],
} as const satisfies Record<string, Word>;

export const moveWords: Record<string, Word> = {
  consent: ['登记患者同意', 'Record consent'],
  request: ['提交申请', 'Send the request'],
  accept: ['受理并指定医生', 'Accept and assign'],
  return: ['退回补充', 'Return for more'],
  reject: ['拒绝', 'Reject'],
  schedule: ['安排时间', 'Schedule'],
  'check-in': ['到场', 'Check in'],
  opinion: ['书写意见', 'Write the opinion'],
  sign: ['签署意见', 'Sign the opinion'],
  decide: ['作出处置决定', 'Decide'],
  archive: ['归档', 'Archive'],
  cancel: ['取消会诊', 'Cancel'],
};

export const stateWords: Record<string, Word> = {
  drafted: ['起草', 'Drafted'],
  consented: ['已知情同意', 'Consented'],
  requested: ['已申请', 'Requested'],
  returned: ['退回', 'Returned'],
  rejected: ['拒绝', 'Rejected'],
  accepted: ['已受理', 'Accepted'],
  scheduled: ['已排期', 'Scheduled'],
  'in-progress': ['会诊中', 'In progress'],
  'opinion-drafted': ['意见已出', 'Opinion drafted'],
  signed: ['意见已签', 'Signed'],
  decided: ['已决定', 'Decided'],
  archived: ['已归档', 'Archived'],
  cancelled: ['已取消', 'Cancelled'],
  expired: ['已过期', 'Expired'],
};

export const priorityWords: Record<string, Word> = { routine: ['普通', 'Routine'], urgent: ['加急', 'Urgent'], stat: ['紧急', 'Stat'] };

export const methodWords: Record<string, Word> = { paper: ['纸质', 'Paper'], device: ['设备手签', 'On a device'], online: ['在线', 'Online'] };

export const decisionWords: Record<string, Word> = {
  adopted: ['采纳', 'Adopted'],
  partial: ['部分采纳', 'Partly adopted'],
  'not-adopted': ['未采纳', 'Not adopted'],
};
