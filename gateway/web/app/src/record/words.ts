// Texts of the record: what a resident and a clinician both read.
import type { Word } from '../shared/locale.ts';

export const R = {
  onlyActiveConditions: ['只看现患', 'Active only'],
  onlyActiveMedications: ['只看在用', 'In use only'],
  conditions: ['诊断与健康问题', 'Conditions'],
  noConditions: ['没有相关诊断记录', 'No such condition recorded'],
  medications: ['用药', 'Medications'],
  noMedications: ['没有相关用药记录', 'No such medication recorded'],
  allergies: ['过敏', 'Allergies'],
  noAllergies: ['没有过敏记录', 'No allergies recorded'],
  lastVisits: ['最近就诊', 'Recent visits'],
  noVisits: ['没有就诊记录', 'No visits recorded'],
  allVisits: ['全部就诊', 'All visits'],
  since: ['起于 {date}', 'since {date}'],
  prescribed: ['{date} 开具', 'prescribed {date}'],
  reaction: ['反应', 'Reaction'],
  noResults: ['没有检验结果', 'No results recorded'],
  noneFound: ['没有符合条件的项目', 'No item matches'],
  findItem: ['查找项目', 'Find an item'],
  onlyAbnormal: ['只看异常', 'Abnormal only'],
  items: ['{n} 个项目，{m} 次结果', '{n} items, {m} results'],
  latest: ['最近一次', 'Latest'],
  measured: ['共测 {n} 次', '{n} times measured'],
  trend: ['变化趋势', 'Trend'],
  trendOf: ['{item}变化趋势（{unit}）。', 'Trend of {item} ({unit}).'],
  trendBand: ['浅色带为最近一次的参考范围。', 'The shaded band is the latest reference range.'],
  otherUnits: ['各医院单位不同，不合并成一条线。', 'Hospitals used different units, so the lines are kept apart.'],
  allValues: ['全部结果', 'All values'],
  dateAndHospital: ['日期与医院', 'Date and hospital'],
  value: ['结果', 'Value'],
  range: ['参考范围', 'Reference range'],
  byRange: ['按参考范围判断', 'judged by the reference range'],
  notStated: ['未注明', 'not stated'],
  olderLeft: ['更早的结果还没有读取。', 'Older results have not been read yet.'],
  readOlder: ['读取更早的结果', 'Read older results'],
  visits: ['就诊经历', 'Visits'],
  doctor: ['医生', 'Doctor'],
  visitReports: ['检查检验报告', 'Reports'],
  visitConditions: ['本次诊断', 'Diagnoses'],
  visitMedications: ['本次用药', 'Prescriptions'],
  nothingElse: ['没有更多内容', 'Nothing more was recorded'],
  inProgress: ['进行中', 'In progress'],
  planned: ['已预约', 'Planned'],
  cancelled: ['已取消', 'Cancelled'],
  visit: ['就诊', 'Visit'],
} as const satisfies Record<string, Word>;

export const encounterClass: Record<string, Word> = {
  AMB: ['门诊', 'Outpatient'],
  IMP: ['住院', 'Inpatient'],
  ACUTE: ['住院', 'Inpatient'],
  NONAC: ['住院', 'Inpatient'],
  EMER: ['急诊', 'Emergency'],
  OBSENC: ['留观', 'Observation'],
  SS: ['日间', 'Day care'],
  VR: ['远程', 'Remote'],
  HH: ['上门', 'Home visit'],
  FLD: ['现场', 'In the field'],
  PRENC: ['入院前', 'Pre-admission'],
};

export const clinicalStatus: Record<string, Word> = {
  active: ['现患', 'Active'],
  recurrence: ['复发', 'Recurrence'],
  relapse: ['复发', 'Relapse'],
  inactive: ['不活动', 'Inactive'],
  remission: ['缓解', 'Remission'],
  resolved: ['已愈', 'Resolved'],
};

export const requestStatus: Record<string, Word> = {
  active: ['在用', 'Active'],
  'on-hold': ['暂停', 'On hold'],
  cancelled: ['已取消', 'Cancelled'],
  completed: ['已完成', 'Completed'],
  stopped: ['已停用', 'Stopped'],
  draft: ['草拟', 'Draft'],
  unknown: ['不详', 'Unknown'],
};

export const criticality: Record<string, Word> = {
  low: ['低风险', 'Low risk'],
  high: ['高风险', 'High risk'],
  'unable-to-assess': ['风险未评估', 'Risk not assessed'],
};
