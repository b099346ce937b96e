// Package outcome turns errors into OperationOutcomes and HTTP statuses: the
// one map from fhir.Kind to both, and the texts of the fixed messages.
package outcome

import (
	"context"
	"errors"
	"net/http"

	"hutong/fhir"
	"hutong/fhir/codec"
)

// row is what a kind becomes. Source: R4 http.html, valueset-issue-type.html.
type row struct {
	status int
	code   string
	en, zh string
}

func rowOf(k fhir.Kind) row {
	switch k {
	case fhir.Invalid:
		return row{http.StatusBadRequest, "invalid", "The request is not valid", "请求无效"}
	case fhir.Structure:
		return row{http.StatusBadRequest, "structure", "The content is not well-formed", "内容格式不正确"}
	case fhir.Unauthorized:
		return row{http.StatusUnauthorized, "login", "Please log in", "请先登录"}
	case fhir.Forbidden:
		return row{http.StatusForbidden, "forbidden", "Access is not permitted", "无权访问"}
	case fhir.NotFound:
		return row{http.StatusNotFound, "not-found", "Not found", "未找到"}
	case fhir.Gone:
		return row{http.StatusGone, "deleted", "The resource was deleted", "资源已删除"}
	case fhir.MethodNotAllowed:
		return row{http.StatusMethodNotAllowed, "not-supported", "The method is not allowed here", "不允许使用该方法"}
	case fhir.NotAcceptable:
		return row{http.StatusNotAcceptable, "not-supported", "Only JSON is served", "仅提供 JSON 格式"}
	case fhir.Conflict:
		return row{http.StatusConflict, "conflict", "The request conflicts with the current state", "请求与当前状态冲突"}
	case fhir.PreconditionFailed:
		return row{http.StatusPreconditionFailed, "conflict", "A precondition failed", "前提条件不满足"}
	case fhir.MultipleMatches:
		return row{http.StatusPreconditionFailed, "multiple-matches", "The criteria match several resources", "条件匹配到多个资源"}
	case fhir.TooLarge:
		return row{http.StatusRequestEntityTooLarge, "too-long", "The request is too large", "请求内容过大"}
	case fhir.UnsupportedMedia:
		return row{http.StatusUnsupportedMediaType, "not-supported", "The content type is not supported", "不支持该内容类型"}
	case fhir.Unprocessable:
		return row{http.StatusUnprocessableEntity, "processing", "The content breaks a rule", "内容违反业务规则"}
	case fhir.NotSupported:
		return row{http.StatusBadRequest, "not-supported", "Not supported", "不支持该请求"}
	case fhir.TooCostly:
		return row{http.StatusForbidden, "too-costly", "The request would cost too much", "请求开销过大"}
	case fhir.Throttled:
		return row{http.StatusTooManyRequests, "throttled", "Too many requests", "请求过于频繁"}
	case fhir.Busy:
		return row{http.StatusServiceUnavailable, "transient", "The server is busy; try again", "服务繁忙，请稍后重试"}
	case fhir.Timeout:
		return row{http.StatusGatewayTimeout, "timeout", "The request took too long", "请求超时"}
	}
	return row{http.StatusInternalServerError, "exception", "Internal error", "服务器内部错误"}
}

// Language of the texts.
type Language uint8

// The languages.
const (
	English Language = iota
	Chinese          // zh-CN
)

type languageKey struct{}

// WithLanguage sets the language in which a request is answered.
func WithLanguage(ctx context.Context, l Language) context.Context {
	return context.WithValue(ctx, languageKey{}, l)
}

// LanguageOf gives the language of a request; English if none was set.
func LanguageOf(ctx context.Context) Language {
	l, _ := ctx.Value(languageKey{}).(Language)
	return l
}

// KindOf gives the kind of an error; deadlines and cancellations are Timeout.
func KindOf(err error) fhir.Kind {
	var e *fhir.Error
	switch {
	case errors.As(err, &e):
		return e.Kind
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fhir.Timeout
	}
	return fhir.Internal
}

// Status is the HTTP status of err.
func Status(err error) int { return rowOf(KindOf(err)).status }

// JSON is the OperationOutcome of err. What is not ours, and every internal
// error, shows its fixed text only.
func JSON(err error, l Language) []byte {
	var e *fhir.Error
	kind := KindOf(err)
	if !errors.As(err, &e) || kind == fhir.Internal || len(e.Issues) == 0 {
		return Issues([]fhir.Issue{{Severity: fhir.ErrorLevel}}, kind, l)
	}
	return Issues(e.Issues, kind, l)
}

// Issues is the OperationOutcome of a list; kind gives the code of those that
// have none. An empty list becomes "all ok".
func Issues(list []fhir.Issue, kind fhir.Kind, l Language) []byte {
	dst := append(make([]byte, 0, 160*(len(list)+1)), `{"resourceType":"OperationOutcome","issue":[`...)
	if len(list) == 0 {
		dst = append(dst, `{"severity":"information","code":"informational","details":{"text":`...)
		dst = codec.AppendString(dst, pick(l, "All OK", "操作成功"))
		dst = append(dst, `}}`...)
	}
	for i := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendIssue(dst, &list[i], rowOf(kind), l)
	}
	return append(dst, `]}`...)
}

func appendIssue(dst []byte, is *fhir.Issue, r row, l Language) []byte {
	code := is.Code
	if code == "" {
		code = r.code
	}
	dst = append(dst, `{"severity":`...)
	dst = codec.AppendString(dst, string(is.Severity))
	dst = append(dst, `,"code":`...)
	dst = codec.AppendString(dst, code)
	text, detail := texts(is, r, l)
	dst = append(dst, `,"details":{"text":`...)
	dst = append(codec.AppendString(dst, text), '}')
	if detail != "" && detail != text {
		dst = append(dst, `,"diagnostics":`...)
		dst = codec.AppendString(dst, detail)
	}
	if is.Expression != "" {
		dst = append(dst, `,"expression":[`...)
		dst = append(codec.AppendString(dst, is.Expression), ']')
	}
	return append(dst, '}')
}

// texts gives details.text and diagnostics: in Chinese the fixed message, with
// the exact text beside it.
func texts(is *fhir.Issue, r row, l Language) (text, detail string) {
	if m, ok := message(is.MessageID); ok {
		return pick(l, m.en, m.zh), is.Text
	}
	if is.Text == "" {
		return pick(l, r.en, r.zh), ""
	}
	if l == Chinese && (is.Severity == fhir.ErrorLevel || is.Severity == fhir.Fatal) && (is.Code == "" || is.Code == r.code) {
		return r.zh, is.Text
	}
	return is.Text, ""
}

func pick(l Language, en, zh string) string {
	if l == Chinese {
		return zh
	}
	return en
}
