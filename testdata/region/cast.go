// Package region makes a synthetic health region: organisations, licensed
// practitioners and, from a seed, people with years of plausible records.
// Nobody in it exists. The same seed gives the same bytes.
package region

// Org is an institution of the region.
type Org struct {
	ID     string // Organization id on the exchange, also the custodian id
	Name   string
	NameEN string
	Level  string // 医院等级
	Area   string // GB/T 2260 code of its county
	Type   string // "hospital", "clinic", "laboratory", "cdc", "operator"
	USCC   string // 统一社会信用代码, check character valid
	Client string // OAuth2 client id of its HIS; "" if it posts nothing
	PartOf string
}

// The organisations. The order is that of the story.
const (
	OrgMuni     = "org-muni"
	OrgDist     = "org-dist"
	OrgCounty   = "org-county"
	OrgClinic   = "org-clinic"
	OrgLab      = "org-lab"
	OrgCDC      = "org-cdc"
	OrgExchange = "org-exchange"
)

// User is a person with a login in the demonstration.
type User struct {
	Login        string
	Name         string
	NameEN       string
	Roles        []string // see gateway/principal: clinician, coordinator, emergency, steward, auditor, admin, resident
	Org          string
	Practitioner string // Practitioner id; PractitionerRole id is the same with "-role"
	Licensed     string // yyyy-mm-dd of the licence; "" for non-physicians
	// Resident marks the login of the first person whom Generate makes.
	Resident bool
}

// Orgs lists the organisations.
func Orgs() []Org {
	return []Org{
		{OrgMuni, "澄江市第一人民医院", "Chengjiang First People's Hospital", "三级甲等", "500103", "hospital", uscc("1250010345010001"), "his-muni", ""},
		{OrgDist, "青溪区人民医院", "Qingxi District People's Hospital", "二级甲等", "500112", "hospital", uscc("1250011245010002"), "his-dist", ""},
		{OrgCounty, "云岭县人民医院", "Yunling County People's Hospital", "二级甲等", "500233", "hospital", uscc("1250023345010003"), "his-county", ""},
		{OrgClinic, "云岭县石桥镇卫生院", "Shiqiao Township Clinic, Yunling", "一级甲等", "500233", "clinic", uscc("1250023345010004"), "his-clinic", OrgCounty},
		{OrgLab, "澄江市临床检验中心", "Chengjiang Clinical Laboratory Centre", "未定级", "500103", "laboratory", uscc("1250010345010005"), "his-lab", ""},
		{OrgCDC, "澄江市疾病预防控制中心", "Chengjiang CDC", "未定级", "500103", "cdc", uscc("1250010345010006"), "", ""},
		{OrgExchange, "澄江市卫生健康信息中心", "Chengjiang Health Information Centre", "未定级", "500103", "operator", uscc("1250010345010007"), "", ""},
	}
}

// Users lists the logins.
func Users() []User {
	return []User{
		{"dr.zhou", "周文", "Zhou Wen", []string{"clinician"}, OrgClinic, "prac-zhou", "2016-07-01", false},
		{"dr.lin", "林清", "Lin Qing", []string{"clinician"}, OrgMuni, "prac-lin", "2008-07-01", false},
		{"dr.han", "韩立", "Han Li", []string{"clinician", "emergency"}, OrgDist, "prac-han", "2012-07-01", false},
		{"coord.mu", "穆兰", "Mu Lan", []string{"coordinator"}, OrgMuni, "prac-mu", "", false},
		{"steward.qi", "齐安", "Qi An", []string{"steward"}, OrgExchange, "", "", false},
		{"steward.ye", "叶宁", "Ye Ning", []string{"steward"}, OrgExchange, "", "", false},
		{"auditor.shen", "沈明", "Shen Ming", []string{"auditor"}, OrgExchange, "", "", false},
		{"resident", "", "", []string{"resident"}, "", "", "", true},
	}
}

// uscc completes a 17-character body (padded with '0') by its GB 32100 check
// character: weights 3^i mod 31 over the charset without I, O, Z, S, V.
func uscc(body string) string {
	const charset = "0123456789ABCDEFGHJKLMNPQRTUWXY"
	for len(body) < 17 {
		body += "0"
	}
	sum, w := 0, 1
	for i := range 17 {
		v := 0
		for j := range charset {
			if charset[j] == body[i] {
				v = j
			}
		}
		sum += v * w
		w = w * 3 % 31
	}
	return body + string(charset[(31-sum%31)%31])
}
