package mpi

import (
	"hutong/mpi/link"
	"hutong/mpi/score"
)

var ruleWords = map[link.Reason]score.Text{
	link.SameCitizenID:    {ZH: "有效居民身份证号相同，且姓名高度一致", EN: "The same valid citizen id, and the names agree"},
	link.TwoCards:         {ZH: "两种以上证件号码相同，且姓名、出生日期、性别一致", EN: "Two or more card numbers are equal, and name, birth date and sex agree"},
	link.SourceMerge:      {ZH: "医院自己已将两条记录合并", EN: "The hospital itself merged the two records"},
	link.NameContradicts:  {ZH: "身份证号相同，但姓名不同：需人工核对", EN: "The same citizen id but another name: a human must check"},
	link.SexContradicts:   {ZH: "身份证号相同，但性别不一致：需人工核对", EN: "The same citizen id but the sex does not agree: a human must check"},
	link.NameMissing:      {ZH: "身份证号相同，但一方没有正式姓名", EN: "The same citizen id, but one side has no proper name"},
	link.TwoCitizenIDs:    {ZH: "两个不同的有效身份证号：不是同一人", EN: "Two different valid citizen ids: two people"},
	link.SharedCards:      {ZH: "身份证号不同，却使用同一张卡：可能冒用或录错", EN: "Different citizen ids but one card: borrowed, or mistyped"},
	link.Twins:            {ZH: "可能是双胞胎或同胞：不自动合并", EN: "Possibly twins or siblings: never joined automatically"},
	link.EmergencyPatient: {ZH: "身份不明的急诊患者：只能由人工凭依据合并", EN: "Unknown emergency patient: only a human joins it, with a reason"},
	link.LikelySame:       {ZH: "很可能是同一人，但没有可自动合并的证件依据", EN: "Very likely one person, but no card proves it"},
	link.LikelyDifferent:  {ZH: "依据不足，不视为同一人", EN: "Too little speaks for one person"},
	link.Constrained:      {ZH: "合并会把不能合并的记录连在一起", EN: "Joining them would join records that must stay apart"},
	link.HumanLink:        {ZH: "人工确认为同一人", EN: "A steward confirmed one person"},
	link.HumanReject:      {ZH: "人工确认不是同一人", EN: "A steward confirmed two people"},
	link.CardHolder:       {ZH: "该卡号的唯一持有人", EN: "The one holder of this card"},
	link.HealthRecordOnly: {ZH: "仅健康档案编号相同，不能作为合并依据", EN: "Only the health record number is equal, which proves nothing"},
}

// Phrases puts rule codes into words.
func Phrases(rs []link.Reason) []Phrase {
	out := make([]Phrase, 0, len(rs))
	for _, r := range rs {
		out = append(out, Phrase{string(r), ruleWords[r]})
	}
	return out
}
