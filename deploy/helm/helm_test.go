// Package helm_test renders the chart and looks at what comes out. The renderer
// has the functions that the chart uses and no others; where helm is installed,
// its own output is compared with ours.
package helm_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"text/template"

	"gopkg.in/yaml.v3"
)

const chart = "hutong"

// object is a parsed Kubernetes object.
type object = map[string]any

// render gives the objects of the chart with these values over its own.
func render(t *testing.T, values object) ([]object, error) {
	t.Helper()
	tpl := template.New(chart).Option("missingkey=error")
	tpl.Funcs(template.FuncMap{
		"include": func(name string, data any) (string, error) {
			var b strings.Builder
			err := tpl.ExecuteTemplate(&b, name, data)
			return b.String(), err
		},
		"default": func(fallback, v any) any {
			if v == nil || reflect.ValueOf(v).IsZero() {
				return fallback
			}
			return v
		},
		"quote":   func(v any) string { return fmt.Sprintf("%q", fmt.Sprint(v)) },
		"nindent": func(n int, s string) string { return "\n" + indent(n, s) },
		"toYaml": func(v any) (string, error) {
			b, err := yaml.Marshal(v)
			return strings.TrimSuffix(string(b), "\n"), err
		},
		"required": func(message string, v any) (any, error) {
			if v == nil || v == "" {
				return nil, errors.New(message)
			}
			return v, nil
		},
	})
	files, err := filepath.Glob(filepath.Join(chart, "templates", "*"))
	if err != nil || len(files) == 0 {
		t.Fatal("no templates", err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		template.Must(tpl.New(filepath.Base(name)).Parse(string(text)))
	}
	data := object{
		"Values": merge(read(t, "values.yaml"), values), "Chart": object{"AppVersion": read(t, "Chart.yaml")["appVersion"]},
		"Release": object{"Name": "region", "Service": "Helm"},
	}
	var out []object
	for _, name := range files {
		if strings.HasPrefix(filepath.Base(name), "_") {
			continue
		}
		var b bytes.Buffer
		if err := tpl.ExecuteTemplate(&b, filepath.Base(name), data); err != nil {
			return nil, err
		}
		list, err := parse(b.Bytes())
		if err != nil {
			return nil, fmt.Errorf("%s: %w\n%s", name, err, b.Bytes())
		}
		out = append(out, list...)
	}
	return out, nil
}

func indent(n int, s string) string {
	pad := strings.Repeat(" ", n)
	return pad + strings.ReplaceAll(s, "\n", "\n"+pad)
}

// parse reads a stream of YAML documents; empty ones are left out.
func parse(text []byte) (out []object, err error) {
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var o object
		if err := d.Decode(&o); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		if o != nil {
			out = append(out, o)
		}
	}
}

func read(t *testing.T, name string) object {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(chart, name))
	if err != nil {
		t.Fatal(err)
	}
	var o object
	if err := yaml.Unmarshal(text, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// merge lays b over a, key by key.
func merge(a, b object) object {
	out := maps.Clone(a)
	for k, v := range b {
		if inner, ok := v.(object); ok {
			if old, ok := out[k].(object); ok {
				v = merge(old, inner)
			}
		}
		out[k] = v
	}
	return out
}

// at goes down a path of keys and indices; nil where it ends too early.
func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(object)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

func kind(t *testing.T, list []object, kind string) object {
	t.Helper()
	for _, o := range list {
		if o["kind"] == kind {
			return o
		}
	}
	t.Fatalf("no %s", kind)
	return nil
}

var minimal = object{"exchange": object{"publicURL": "https://exchange.example"}}

// variants are the ways in which the chart is used.
var variants = map[string]object{
	"minimal": minimal,
	"everything": merge(minimal, object{
		"ingress":    object{"enabled": true, "host": "exchange.example", "className": "nginx", "annotations": object{"a/b": "c"}},
		"monitoring": object{"serviceMonitor": true}, "nodeSelector": object{"disk": "fast"}, "tolerations": []any{object{"key": "x", "operator": "Exists"}},
		"secrets": object{"authorities": "ca"}, "image": object{"tag": "1.2.3", "pullSecrets": []any{object{"name": "pull"}}}, "service": object{"annotations": object{"a": "b"}},
		"networkPolicy": object{"hooks": []any{object{"to": []any{object{"ipBlock": object{"cidr": "10.0.0.0/8"}}}}}},
		"exchange":      object{"publicURL": "https://exchange.example", "extraEnv": []any{object{"name": "HUTONG_CACHE_MB", "value": "128"}}},
	}),
	"bare": merge(minimal, object{"autoscaling": object{"enabled": false}, "networkPolicy": object{"enabled": false}}),
}

func TestEveryVariantIsWhole(t *testing.T) {
	for name, values := range variants {
		list, err := render(t, values)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var kinds []string
		for _, o := range list {
			kinds = append(kinds, fmt.Sprint(o["kind"]))
			if o["apiVersion"] == nil || at(o, "metadata", "name") != "region" || at(o, "metadata", "labels", "app.kubernetes.io/instance") != "region" {
				t.Errorf("%s: %v has no name, version or labels", name, o["kind"])
			}
			if o["kind"] == "Secret" {
				t.Errorf("%s: the chart makes a secret", name)
			}
		}
		slices.Sort(kinds)
		want := map[string]string{
			"minimal":    "HorizontalPodAutoscaler NetworkPolicy PodDisruptionBudget Service ServiceAccount StatefulSet",
			"everything": "HorizontalPodAutoscaler Ingress NetworkPolicy PodDisruptionBudget Service ServiceAccount ServiceMonitor StatefulSet",
			"bare":       "PodDisruptionBudget Service ServiceAccount StatefulSet",
		}[name]
		if got := strings.Join(kinds, " "); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		nodes(t, name, kind(t, list, "StatefulSet"))
		selectors(t, name, list)
	}
}

// nodes holds what the nodes rest on.
func nodes(t *testing.T, name string, d object) {
	t.Helper()
	pod := at(d, "spec", "template", "spec")
	c := at(pod, "containers", 0)
	for what, v := range map[string][2]any{
		"one at a time":      {at(d, "spec", "updateStrategy", "type"), "RollingUpdate"},
		"its files":          {at(d, "spec", "volumeClaimTemplates", 0, "metadata", "name"), "data"},
		"no root":            {at(pod, "securityContext", "runAsNonRoot"), true},
		"seccomp":            {at(pod, "securityContext", "seccompProfile", "type"), "RuntimeDefault"},
		"no API token":       {at(pod, "automountServiceAccountToken"), false},
		"read-only root":     {at(c, "securityContext", "readOnlyRootFilesystem"), true},
		"no capabilities":    {at(c, "securityContext", "capabilities", "drop", 0), "ALL"},
		"no new rights":      {at(c, "securityContext", "allowPrivilegeEscalation"), false},
		"ready by snapshot":  {at(c, "readinessProbe", "httpGet", "path"), "/readyz"},
		"alive":              {at(c, "livenessProbe", "httpGet", "path"), "/healthz"},
		"TLS to the probes":  {at(c, "readinessProbe", "httpGet", "scheme"), "HTTPS"},
		"serves":             {at(c, "args", 0), "serve"},
		"a pause at the end": {at(c, "lifecycle", "preStop", "exec", "command", 0), "sleep"},
	} {
		if v[0] != v[1] {
			t.Errorf("%s: %s: %v, want %v", name, what, v[0], v[1])
		}
	}
	env := map[string]object{}
	list, _ := at(c, "env").([]any)
	for _, e := range list {
		env[fmt.Sprint(at(e, "name"))] = e.(object)
	}
	for _, secret := range []string{"HUTONG_STORE", "HUTONG_NATS"} {
		if at(env[secret], "valueFrom", "secretKeyRef", "name") != "hutong-connections" || env[secret]["value"] != nil {
			t.Errorf("%s: %s does not come from the secret: %v", name, secret, env[secret])
		}
	}
	// Node names are those that the binary takes: letters and digits.
	if at(env["HUTONG_NODE"], "value") != "node$(POD_INDEX)" || at(env["POD_INDEX"], "valueFrom", "fieldRef", "fieldPath") != "metadata.labels['apps.kubernetes.io/pod-index']" {
		t.Errorf("%s: a node's name is %v", name, env["HUTONG_NODE"])
	}
	mounted, volumes := map[any]bool{}, map[any]bool{}
	for _, m := range at(c, "volumeMounts").([]any) {
		mounted[at(m, "name")] = true
	}
	volumes["data"] = true // a claim
	for _, v := range at(pod, "volumes").([]any) {
		volumes[at(v, "name")] = true
	}
	if !maps.Equal(mounted, volumes) {
		t.Errorf("%s: mounts %v, volumes %v", name, mounted, volumes)
	}
	if (name == "bare") != (at(d, "spec", "replicas") == 3) {
		t.Errorf("%s: replicas %v beside the autoscaler", name, at(d, "spec", "replicas"))
	}
}

// selectors must find the pods, and the autoscaler the deployment.
func selectors(t *testing.T, name string, list []object) {
	t.Helper()
	labels := at(kind(t, list, "StatefulSet"), "spec", "template", "metadata", "labels").(object)
	for _, o := range list {
		var s any
		switch o["kind"] {
		case "Service":
			s = at(o, "spec", "selector")
		case "StatefulSet", "PodDisruptionBudget", "ServiceMonitor":
			s = at(o, "spec", "selector", "matchLabels")
		case "NetworkPolicy":
			s = at(o, "spec", "podSelector", "matchLabels")
		case "HorizontalPodAutoscaler":
			if at(o, "spec", "scaleTargetRef", "name") != "region" {
				t.Errorf("%s: the autoscaler scales %v", name, at(o, "spec", "scaleTargetRef"))
			}
			continue
		default:
			continue
		}
		m, _ := s.(object)
		if len(m) == 0 {
			t.Errorf("%s: %v selects nothing", name, o["kind"])
		}
		for k, v := range m {
			if labels[k] != v {
				t.Errorf("%s: %v selects %s=%v, the pods have %v", name, o["kind"], k, v, labels[k])
			}
		}
	}
}

// Without the address by which clients come nothing is installed.
func TestThePublicURLIsRequired(t *testing.T) {
	if _, err := render(t, nil); err == nil || !strings.Contains(err.Error(), "publicURL is required") {
		t.Errorf("%v", err)
	}
}

// Where helm is at hand, it must make the same objects.
func TestHelmAgrees(t *testing.T) {
	helm, err := exec.LookPath("helm")
	if err != nil {
		t.Skip("helm is not installed")
	}
	for name, values := range variants {
		file := filepath.Join(t.TempDir(), "values.yaml")
		text, err := yaml.Marshal(values)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(helm, "lint", "--strict", chart, "-f", file).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
		out, err := exec.Command(helm, "template", "region", chart, "-f", file, "--kube-version", "1.31").Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		theirs, err := parse(out)
		if err != nil {
			t.Fatal(err)
		}
		ours, err := render(t, values)
		if err != nil {
			t.Fatal(err)
		}
		byKind := func(a, b object) int { return strings.Compare(fmt.Sprint(a["kind"]), fmt.Sprint(b["kind"])) }
		slices.SortFunc(theirs, byKind)
		slices.SortFunc(ours, byKind)
		if !reflect.DeepEqual(ours, theirs) {
			t.Errorf("%s: helm makes other objects", name)
		}
	}
}
