package subscription

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"hutong/fhir"
)

// terms are a Subscription as far as the server acts on it.
type terms struct {
	Status   string    `json:"status"`
	Criteria string    `json:"criteria"`
	Error    string    `json:"error"`
	End      time.Time `json:"end"`
	Channel  channel   `json:"channel"`
}

type channel struct {
	Type     string   `json:"type"`
	Endpoint string   `json:"endpoint"`
	Payload  string   `json:"payload"`
	Header   []string `json:"header"`
}

// The states of a Subscription.
const (
	requested = "requested"
	active    = "active"
	failed    = "error"
	off       = "off"
)

// Bounds of channel.header.
const (
	maxHeaders     = 8
	maxHeaderBytes = 4096 // of one line
)

func readTerms(body fhir.Body) (*terms, error) {
	t := &terms{}
	if err := json.Unmarshal(body.Raw, t); err != nil {
		return nil, fhir.Errorf(fhir.Structure, "a Subscription that cannot be read")
	}
	return t, nil
}

// hash is the same as long as what was agreed is: the status may change.
func (t *terms) hash() string {
	raw, _ := json.Marshal(struct { // strings and a time: never fails
		Criteria string
		End      time.Time
		Channel  channel
	}{t.Criteria, t.End.UTC(), t.Channel})
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:16])
}

// content reports whether notifications carry the resource.
func (t *terms) content() bool { return t.Channel.Payload != "" }

// live reports whether changes are held against the criteria.
func (t *terms) live() bool { return t.Status == requested || t.Status == active }

// check holds the terms against what is served.
func (s *Service) check(t *terms) error {
	if t.Channel.Type != "rest-hook" {
		return refuse("Subscription.channel.type", "only the channel type rest-hook is served: websocket, email, sms and message are not")
	}
	if _, err := s.hosts.endpoint(t.Channel.Endpoint); err != nil {
		return refuse("Subscription.channel.endpoint", "%s", err)
	}
	if err := s.checkPayload(t.Channel.Payload); err != nil {
		return err
	}
	if len(t.Channel.Header) > maxHeaders {
		return refuse("Subscription.channel.header", "at most %d headers are sent", maxHeaders)
	}
	for i, line := range t.Channel.Header {
		if fault := headerFault(line); fault != "" {
			return refuse(fmt.Sprintf("Subscription.channel.header[%d]", i), "%s", fault)
		}
	}
	if !t.End.IsZero() && t.Status == requested && !t.End.After(s.cfg.Now()) {
		return refuse("Subscription.end", "the end has passed")
	}
	_, err := s.readCriteria(t.Criteria)
	return err
}

func (s *Service) checkPayload(payload string) error {
	mime, _, _ := strings.Cut(payload, ";")
	switch {
	case payload == "":
		return nil
	case strings.TrimSpace(mime) != "application/fhir+json":
		return refuse("Subscription.channel.payload", "the payload is application/fhir+json, or none")
	case !s.cfg.Content:
		return refuse("Subscription.channel.payload", "this server sends no content: leave the payload out, and read what the notification names")
	}
	return nil
}

// headerFault tells what is wrong with a header line; it does not repeat it.
func headerFault(line string) string {
	name, value, found := strings.Cut(line, ":")
	switch {
	case !found || !httpguts.ValidHeaderFieldName(name):
		return "a header is written Name: value"
	case len(line) > maxHeaderBytes:
		return fmt.Sprintf("a header is longer than %d bytes", maxHeaderBytes)
	case !httpguts.ValidHeaderFieldValue(strings.TrimSpace(value)):
		return "the value of the header holds a control character"
	case reserved(strings.ToLower(name)):
		return "this header is not for a subscriber to set"
	}
	return ""
}

// reserved reports whether the header belongs to the transport or is what a
// notification says itself.
func reserved(name string) bool {
	switch name {
	case "host", "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "expect", "content-length",
		"content-type", "content-encoding", "content-location", "link", "etag", "user-agent", "forwarded", "via":
		return true
	}
	return strings.HasPrefix(name, "proxy-") || strings.HasPrefix(name, "x-forwarded-") || strings.HasPrefix(name, "sec-")
}

func refuse(at, format string, args ...any) error {
	return fhir.Errorf(fhir.Unprocessable, format, args...).At(at)
}
