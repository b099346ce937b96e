// Package consult runs remote consultations (远程会诊): a clinician asks a
// physician of another institution for an opinion on chosen documents of one
// patient. The workflow is a FHIR Task; who may move it, from where to where
// and under which guard is the table in this file, after the rules TC-01..05
// (远程医疗服务管理规范（试行）2018).
package consult

import (
	"slices"

	"hutong/fhir"
)

// State is where a consultation stands. It is stored as Task.businessStatus;
// Task.status follows from it.
type State string

// The states, in the order of the pathway.
const (
	Drafted        State = "drafted"         // 起草
	Consented      State = "consented"       // 已知情同意
	Requested      State = "requested"       // 已申请
	Returned       State = "returned"        // 退回
	Rejected       State = "rejected"        // 拒绝
	Accepted       State = "accepted"        // 已受理
	Scheduled      State = "scheduled"       // 已排期
	InProgress     State = "in-progress"     // 会诊中
	OpinionDrafted State = "opinion-drafted" // 意见已出
	Signed         State = "signed"          // 意见已签
	Decided        State = "decided"         // 已采纳/部分采纳/未采纳
	Archived       State = "archived"        // 已归档
	Cancelled      State = "cancelled"       // 已取消
	Expired        State = "expired"         // 过期
)

// taskStatus is the R4 Task.status of each state.
var taskStatus = map[State]string{
	Drafted: "draft", Consented: "draft", Requested: "requested", Returned: "on-hold",
	Rejected: "rejected", Accepted: "accepted", Scheduled: "accepted", InProgress: "in-progress",
	OpinionDrafted: "in-progress", Signed: "completed", Decided: "completed", Archived: "completed",
	Cancelled: "cancelled", Expired: "failed",
}

// labels are the state names that people read.
var labels = map[State][2]string{ // zh-CN, en
	Drafted: {"起草", "Drafted"}, Consented: {"已知情同意", "Consented"}, Requested: {"已申请", "Requested"},
	Returned: {"退回", "Returned"}, Rejected: {"拒绝", "Rejected"}, Accepted: {"已受理", "Accepted"},
	Scheduled: {"已排期", "Scheduled"}, InProgress: {"会诊中", "In progress"},
	OpinionDrafted: {"意见已出", "Opinion drafted"}, Signed: {"意见已签", "Opinion signed"},
	Decided: {"已决定", "Decided"}, Archived: {"已归档", "Archived"}, Cancelled: {"已取消", "Cancelled"}, Expired: {"已过期", "Expired"},
}

// Party is who may make a move.
type Party uint8

// The parties to a consultation.
const (
	Inviting    Party = iota + 1 // the clinician who asks
	Coordinator                  // a coordinator of the invited organisation
	Consultant                   // the physician who was assigned
	Either                       // the inviting clinician or the consultant
	System                       // the exchange itself
)

// Move is a step of the workflow; it is the last segment of its URL.
type Move string

// The moves.
const (
	MoveConsent  Move = "consent"
	MoveRequest  Move = "request"
	MoveAccept   Move = "accept"
	MoveReturn   Move = "return"
	MoveReject   Move = "reject"
	MoveSchedule Move = "schedule"
	MoveCheckIn  Move = "check-in"
	MoveOpinion  Move = "opinion"
	MoveSign     Move = "sign"
	MoveDecide   Move = "decide"
	MoveArchive  Move = "archive"
	MoveCancel   Move = "cancel"
	MoveExpire   Move = "expire"
)

// step is one row of the table.
type step struct {
	move Move
	from []State
	to   State
	by   Party
	// reason must be given with the move.
	reason bool
}

// pathway is the whole workflow. A check-in leads to InProgress only when both
// physicians are there; until then the state stays as it is.
var pathway = []step{
	{MoveConsent, []State{Drafted}, Consented, Inviting, false},
	{MoveRequest, []State{Consented, Returned}, Requested, Inviting, false},
	{MoveAccept, []State{Requested}, Accepted, Coordinator, false},
	{MoveReturn, []State{Requested}, Returned, Coordinator, true},
	{MoveReject, []State{Requested}, Rejected, Coordinator, true},
	{MoveSchedule, []State{Accepted, Scheduled}, Scheduled, Coordinator, false},
	{MoveCheckIn, []State{Scheduled}, InProgress, Either, false},
	{MoveOpinion, []State{InProgress, OpinionDrafted}, OpinionDrafted, Consultant, false},
	{MoveSign, []State{OpinionDrafted}, Signed, Consultant, false},
	{MoveDecide, []State{Signed}, Decided, Inviting, false},
	{MoveArchive, []State{Decided}, Archived, Either, false},
	{MoveCancel, []State{Drafted, Consented, Requested, Returned, Accepted, Scheduled}, Cancelled, Inviting, true},
	{MoveExpire, []State{Drafted, Consented, Requested, Returned, Accepted, Scheduled}, Expired, System, false},
}

// plan finds the row for a move from a state. An unknown move is NotFound, an
// illegal one Conflict.
func plan(from State, m Move) (step, error) {
	known := false
	for _, s := range pathway {
		if s.move != m {
			continue
		}
		known = true
		if slices.Contains(s.from, from) {
			return s, nil
		}
	}
	if !known {
		return step{}, fhir.Errorf(fhir.NotFound, "no such move: %q", m)
	}
	return step{}, fhir.Errorf(fhir.Conflict, "a consultation that is %q cannot take the move %q", from, m).At("Task.businessStatus")
}

// moves lists what party may do from a state, for the pages.
func moves(from State, is func(Party) bool) []Move {
	var out []Move
	for _, s := range pathway {
		if slices.Contains(s.from, from) && is(s.by) {
			out = append(out, s.move)
		}
	}
	return out
}

// grants reports whether the consultant may read the chosen documents in this
// state: from acceptance until the archive, and not after a cancellation.
func grants(s State) bool {
	switch s {
	case Accepted, Scheduled, InProgress, OpinionDrafted, Signed, Decided:
		return true
	}
	return false
}
