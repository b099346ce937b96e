package link

import "hutong/mpi/score"

var ruleWords = map[Reason]score.Text{
	SameCitizenID:    {ZH: "有效居民身份证号相同，且姓名高度一致", EN: "The same valid citizen id, and the names agree"},
	TwoCards:         {ZH: "两种以上证件号码相同，且姓名、出生日期、性别一致", EN: "Two or more card numbers are equal, and name, birth date and sex agree"},
	SamePerson:       {ZH: "姓名、出生日期等一致，概率达到本区域规定的自动合并阈值", EN: "Name, birth date and the rest agree, with a probability from which the region lets records link"},
	SourceMerge:      {ZH: "医院自己已将两条记录合并", EN: "The hospital itself merged the two records"},
	NameContradicts:  {ZH: "身份证号相同，但姓名不同：需人工核对", EN: "The same citizen id but another name: a human must check"},
	SexContradicts:   {ZH: "身份证号相同，但性别不一致：需人工核对", EN: "The same citizen id but the sex does not agree: a human must check"},
	NameMissing:      {ZH: "身份证号相同，但一方没有正式姓名", EN: "The same citizen id, but one side has no proper name"},
	TwoCitizenIDs:    {ZH: "两个不同的有效身份证号：不是同一人", EN: "Two different valid citizen ids: two people"},
	SharedCards:      {ZH: "身份证号不同，却使用同一张卡：可能冒用或录错", EN: "Different citizen ids but one card: borrowed, or mistyped"},
	Twins:            {ZH: "可能是双胞胎或同胞：不自动合并", EN: "Possibly twins or siblings: never joined automatically"},
	EmergencyPatient: {ZH: "身份不明的急诊患者：只能由人工凭依据合并", EN: "Unknown emergency patient: only a human joins it, with a reason"},
	LikelySame:       {ZH: "很可能是同一人，但没有可自动合并的证件依据", EN: "Very likely one person, but no card proves it"},
	LikelyDifferent:  {ZH: "依据不足，不视为同一人", EN: "Too little speaks for one person"},
	Constrained:      {ZH: "合并会把不能合并的记录连在一起", EN: "Joining them would join records that must stay apart"},
	HumanLink:        {ZH: "人工确认为同一人", EN: "A steward confirmed one person"},
	HumanReject:      {ZH: "人工确认不是同一人", EN: "A steward confirmed two people"},
	CardHolder:       {ZH: "该卡号的唯一持有人", EN: "The one holder of this card"},
	TwoDeaths:        {ZH: "两处记载的死亡日期相差一个月以上：不自动合并", EN: "The dates of death are more than a month apart: never joined automatically"},
	BornAfterDeath:   {ZH: "一方出生在另一方死亡之后：不是同一人", EN: "One was born after the other died: two people"},
	DeadAndAlive:     {ZH: "一方已死亡，另一方明确记为在世，且没有相同的身份证号：可能冒用证件", EN: "One is dead, the other is stated to be alive, and no citizen id joins them: perhaps a borrowed card"},
	WeakBridge:       {ZH: "两组记录只靠个别记录相连，其余记录互相矛盾：需人工核对", EN: "Two groups hang together by a record or two while the others contradict each other: a human must check"},
	OtherCitizenID:   {ZH: "身份证号变为另一有效号码", EN: "The citizen id became another valid one"},
	OtherName:        {ZH: "姓名变为另一姓名", EN: "The name became another"},
	OtherBirth:       {ZH: "出生日期变为另一日期", EN: "The birth date became another"},
	OtherSex:         {ZH: "性别改变", EN: "The sex changed"},
	HealthRecordOnly: {ZH: "仅健康档案编号相同，不能作为合并依据", EN: "Only the health record number is equal, which proves nothing"},
}

// Words says in words what a rule means.
func (r Reason) Words() score.Text { return ruleWords[r] }
