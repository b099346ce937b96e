// Texts of the auditor's search.
import type { Word } from '../../shared/locale.ts';

export const A = {
  search: ['查询条件', 'Search'],
  patient: ['涉及的患者记录', 'Patient record concerned'],
  patientHint: ['医院记录或个人的编号', 'Id of a hospital record or person'],
  agent: ['人员编号', 'Practitioner'],
  action: ['操作', 'Action'],
  outcome: ['结果', 'Outcome'],
  from: ['从', 'From'],
  to: ['到', 'To'],
  any: ['不限', 'Any'],
  run: ['查询', 'Search'],
  when: ['时间', 'When'],
  who: ['谁', 'Who'],
  organization: ['机构', 'Organisation'],
  purpose: ['目的', 'Purpose'],
  did: ['操作', 'Action'],
  what: ['内容', 'What'],
  records: ['访问记录', 'Access records'],
  concerned: ['涉及', 'Concerns'],
  success: ['成功', 'Done'],
  refused: ['被拒', 'Refused'],
  none: ['没有符合条件的记录。', 'No record matches.'],
  chain: ['审计链', 'Audit chain'],
  verify: ['校验审计链', 'Verify the chain'],
  whole: ['完整：{n} 条记录，未被改动。', 'Whole: {n} records, none changed.'],
  broken: ['不完整！请立即报告。', 'Broken! Report this at once.'],
} as const satisfies Record<string, Word>;

export const fhirActions: Record<string, Word> = {
  C: ['新增', 'Create'],
  R: ['读取', 'Read'],
  U: ['修改', 'Update'],
  D: ['删除', 'Delete'],
  E: ['执行', 'Execute'],
};

export const outcomes: Record<string, Word> = { '0': A.success, '4': A.refused, '8': ['失败', 'Failed'], '12': ['严重故障', 'Major failure'] };
