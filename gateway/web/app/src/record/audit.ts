// What an AuditEvent says, in words: who, for whom, when, why and what.
import type { AuditEvent, AuditEventAgent, Coding } from 'fhir/r4';
import { code, idOf, referenceKey } from '../shared/fhir.ts';
import type { Lang, Word } from '../shared/locale.ts';
import type { Directory } from './directory.tsx';

const purposeWords: Record<string, Word> = {
  TREAT: ['诊疗', 'Treatment'],
  ETREAT: ['急救', 'Emergency treatment'],
  BTG: ['紧急调阅', 'Break-glass'],
  PATRQT: ['本人查询', 'Own request'],
  HOPERAT: ['业务管理', 'Operations'],
  HPAYMT: ['医保结算', 'Payment'],
  HRESCH: ['科研', 'Research'],
  PUBHLTH: ['公共卫生', 'Public health'],
  COVERAGE: ['参保核验', 'Coverage'],
};

export const actionWords: Record<string, Word> = {
  read: ['查看', 'Read'],
  vread: ['查看历史版本', 'Read a version'],
  search: ['查询', 'Search'],
  'search-type': ['查询', 'Search'],
  'search-system': ['查询', 'Search'],
  'history-instance': ['查看修改历史', 'Read history'],
  'history-type': ['查看修改历史', 'Read history'],
  'history-system': ['查看修改历史', 'Read history'],
  create: ['新增', 'Create'],
  update: ['修改', 'Update'],
  patch: ['修改', 'Update'],
  delete: ['删除', 'Delete'],
  transaction: ['上传记录', 'Upload'],
  batch: ['批量操作', 'Batch'],
  $match: ['身份识别', 'Identify'],
  login: ['登录', 'Login'],
  'login-failed': ['登录失败', 'Failed login'],
  logout: ['退出', 'Logout'],
  'token-issued': ['签发令牌', 'Token issued'],
  'token-refused': ['拒发令牌', 'Token refused'],
  'token-revoked': ['撤销令牌', 'Token revoked'],
  denied: ['被拒绝', 'Denied'],
  'break-glass': ['紧急调阅', 'Break-glass'],
  'consent-change': ['授权变更', 'Consent changed'],
  'account-change': ['账号变更', 'Account changed'],
  workflow: ['协作流程', 'Workflow step'],
  identity: ['身份识别与关联', 'Identity'],
};

const typeWords: Record<string, Word> = {
  Patient: ['基本信息', 'demographics'],
  Encounter: ['就诊', 'visits'],
  Condition: ['诊断', 'conditions'],
  Observation: ['检验结果', 'results'],
  DiagnosticReport: ['报告', 'reports'],
  MedicationRequest: ['用药', 'medications'],
  MedicationStatement: ['用药', 'medications'],
  AllergyIntolerance: ['过敏', 'allergies'],
  AuditEvent: ['查看记录', 'access records'],
  Consent: ['授权', 'consents'],
  Procedure: ['手术操作', 'procedures'],
  Immunization: ['接种', 'immunizations'],
  ServiceRequest: ['医嘱', 'orders'],
  DocumentReference: ['文书', 'documents'],
  Composition: ['文书', 'documents'],
  Task: ['协作任务', 'tasks'],
  CarePlan: ['诊疗计划', 'care plans'],
  ImagingStudy: ['影像', 'imaging'],
};

/** A record of access, ready to be shown. */
export interface Access {
  id: string;
  at: string;
  who: string;
  organization: string;
  purpose: string;
  action: string;
  what: string;
  failed: boolean;
  breakGlass: boolean;
  reason: string;
  /** Keys of the patients concerned. */
  patients: string[];
}

const hospitalSystem: Word = ['医院信息系统', 'Hospital system'];
const exchange: Word = ['平台自动处理', 'The exchange itself'];

/** altId of what the exchange does by itself. */
export const exchangeItself = 'system';

type Translate = (word: Word) => string;

export function readAudit(event: AuditEvent, directory: Directory, t: Translate, lang: Lang): Access {
  const actor = event.agent.find((a) => a.requestor) ?? event.agent[0];
  const codes = [...(event.subtype ?? []), event.type];
  const purpose = purposeOf(event, actor);
  const action = codes.map((c) => c.code ?? '').find((c) => c in actionWords) ?? codes[0]?.code ?? '';
  return {
    id: event.id ?? '',
    at: event.recorded,
    who: whoOf(actor, directory, t),
    organization: organizationOf(event, directory),
    purpose: purpose in purposeWords ? t(purposeWords[purpose]!) : purpose,
    action: action in actionWords ? t(actionWords[action]!) : display(codes) || action,
    what: whatOf(event, t, lang),
    failed: event.outcome !== undefined && event.outcome !== '0',
    breakGlass: isGlass(event),
    reason: reasonOf(event),
    patients: (event.entity ?? []).map((e) => referenceKey(e.what)).filter((k) => k.startsWith('Patient/')),
  };
}

/** Whether somebody looked past the person's choices. */
export const isGlass = (event: AuditEvent): boolean =>
  (event.purposeOfEvent ?? []).some((p) => code(p) === 'BTG') || (event.subtype ?? []).some((s) => s.code === 'break-glass');

function whoOf(actor: AuditEventAgent | undefined, directory: Directory, t: Translate): string {
  if (actor?.role?.some((r) => code(r) === 'his')) return t(hospitalSystem);
  if (actor?.altId === exchangeItself) return t(exchange);
  return directory.name(actor?.who) || actor?.name || actor?.altId || '';
}

const display = (codes: readonly Coding[]): string | undefined => codes.find((c) => c.display)?.display;

function purposeOf(event: AuditEvent, actor: AuditEventAgent | undefined): string {
  return code(event.purposeOfEvent?.[0]) ?? code(actor?.purposeOfUse?.[0]) ?? '';
}

function organizationOf(event: AuditEvent, directory: Directory): string {
  const agents = event.agent.map((a) => a.who).filter((w) => referenceKey(w).startsWith('Organization/'));
  return directory.name(agents[0]) || directory.name(event.source.observer) || event.source.site || '';
}

/** The kinds of record that were shown, each once. */
function whatOf(event: AuditEvent, t: Translate, lang: Lang): string {
  const types = new Set<string>();
  for (const entity of event.entity ?? []) {
    const key = referenceKey(entity.what);
    const fromKey = key.includes('/') ? key.split('/')[0]! : '';
    const type = fromKey || entity.type?.code || '';
    if (type && type in typeWords) types.add(t(typeWords[type]!));
  }
  if (types.size > 1) types.delete(t(typeWords['Patient']!));
  return [...types].join(lang === 'zh' ? '、' : ', ');
}

function reasonOf(event: AuditEvent): string {
  for (const entity of event.entity ?? []) {
    const found = entity.detail?.find((d) => d.type === 'reason')?.valueString;
    if (found) return found;
  }
  return event.outcomeDesc ?? '';
}

export const patientIds = (access: Access): string[] => access.patients.map((p) => idOf(p));
