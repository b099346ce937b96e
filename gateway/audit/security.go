package audit

import (
	"context"

	"hutong/gateway/principal"
)

// securityCodes are the DICOM event types and subtypes of the actions; every
// event carries its Action as a subtype too.
var securityCodes = map[Action]struct {
	typ, subtype coding
	action       string
}{
	Login:         {dicom("110114", "User Authentication"), dicom("110122", "Login"), "E"},
	LoginFailed:   {dicom("110114", "User Authentication"), dicom("110122", "Login"), "E"},
	Logout:        {dicom("110114", "User Authentication"), dicom("110123", "Logout"), "E"},
	TokenIssued:   {dicom("110114", "User Authentication"), dicom("110122", "Login"), "E"},
	TokenRefused:  {dicom("110114", "User Authentication"), dicom("110126", "Node Authentication"), "E"},
	TokenRevoked:  {dicom("110114", "User Authentication"), dicom("110123", "Logout"), "E"},
	Denied:        {dicom("110113", "Security Alert"), dicom("110129", "Use of Restricted Function"), "E"},
	BreakGlass:    {dicom("110113", "Security Alert"), dicom("110127", "Emergency Override Started"), "E"},
	ConsentChange: {dicom("110113", "Security Alert"), dicom("110136", "Security Roles Changed"), "U"},
	AccountChange: {dicom("110113", "Security Alert"), dicom("110137", "User Security Attributes Changed"), "U"},
	Workflow:      {dicom("110100", "Application Activity"), coding{}, "E"},
	Identity:      {dicom("110110", "Patient Record"), coding{}, "U"},
}

func dicom(code, display string) coding { return coding{dicomSystem, code, display} }

// security turns a security event into an AuditEvent.
func (l *Log) security(ctx context.Context, s Event) *event {
	p := s.Principal
	if p == nil && s.Subject == "" {
		p = principal.From(ctx)
	}
	purpose := s.Purpose
	if purpose == "" && p != nil {
		purpose = p.Purpose
	}
	e := l.base(ctx, p, s.Subject, purpose, s.At)
	codes := securityCodes[s.Action]
	e.Type, e.Action = codes.typ, codes.action
	if codes.typ.Code == "" { // an action of a room that is not in the table
		e.Type, e.Action = dicom("110100", "Application Activity"), "E"
	}
	if codes.subtype.Code != "" {
		e.Subtype = append(e.Subtype, codes.subtype)
	}
	e.Subtype = append(e.Subtype, coding{System: actionSystem, Code: string(s.Action)})
	e.OutcomeDesc = s.Reason
	if s.Failed {
		e.Outcome = "4"
	}
	e.Entity = append(patients(s.Patients), objects(s.Keys)...)
	return e
}
