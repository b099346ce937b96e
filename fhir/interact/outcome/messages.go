package outcome

// Message ids of the fixed messages: fhir.Issue.MessageID.
const (
	NotYours         = "custodian"         // the custodian rule refused a write
	AuditUnavailable = "audit-unavailable" // the audit trail cannot be written
	IncludesCut      = "includes-cut"      // not every included resource is shown
	NotWidened       = "not-widened"       // too many patients to join their records
	UnknownRoute     = "unknown-route"
	UnknownType      = "unknown-type"
	BadPageToken     = "bad-page-token"
	VersionConflict  = "version-conflict"
)

type text struct{ en, zh string }

// message gives a fixed message by its id.
func message(id string) (text, bool) {
	switch id {
	case NotYours:
		return text{"Only the organisation that owns the resource may change it", "只有资源所属机构可以修改（一数一源）"}, true
	case AuditUnavailable:
		return text{"The answer is withheld because the audit record could not be written", "审计记录无法写入，已拒绝返回数据"}, true
	case IncludesCut:
		return text{"Not all included resources are shown: the limit of the page was reached", "关联资源数量超过上限，未全部返回"}, true
	case NotWidened:
		return text{"The query names too many patients: the records of each person were not joined", "查询涉及的患者过多，未合并同一人的全部记录"}, true
	case UnknownRoute:
		return text{"There is nothing at this address", "该地址不存在"}, true
	case UnknownType:
		return text{"This is not a resource type of FHIR R4", "不是 FHIR R4 的资源类型"}, true
	case BadPageToken:
		return text{"The page token is not valid for this query", "分页令牌无效"}, true
	case VersionConflict:
		return text{"The resource has another version than the request expects", "资源版本与请求不符"}, true
	}
	return text{}, false
}
