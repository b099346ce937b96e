// Texts of the console's frame.
import type { Word } from '../shared/locale.ts';

export const C = {
  title: ['互通工作台', 'Hutong Console'],
  lead: ['医务人员、数据管理员与审计人员的工作台。', 'The workplace of clinicians, data stewards and auditors.'],
  patients: ['患者', 'Patients'],
  consultations: ['远程会诊', 'Consultations'],
  queue: ['疑似同人', 'Possible matches'],
  persons: ['个人身份', 'Identities'],
  reports: ['数据质量', 'Data quality'],
  audit: ['访问审计', 'Audit'],
  nothing: ['此账号没有可用的功能。', 'This account has nothing to do here.'],
  clinician: ['医生', 'Clinician'],
  coordinator: ['会诊协调员', 'Coordinator'],
  emergency: ['急诊', 'Emergency'],
  steward: ['数据管理员', 'Data steward'],
  auditor: ['审计员', 'Auditor'],
  admin: ['系统管理员', 'Administrator'],
  resident: ['居民', 'Resident'],
  residentHere: ['居民请使用“我的健康档案”。', 'Residents use “My health record”.'],
} as const satisfies Record<string, Word>;

export const roleWords: Record<string, Word> = {
  clinician: C.clinician,
  coordinator: C.coordinator,
  emergency: C.emergency,
  steward: C.steward,
  auditor: C.auditor,
  admin: C.admin,
  resident: C.resident,
};
