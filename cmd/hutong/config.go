package main

import (
	"fmt"
	"io"

	"github.com/alecthomas/kong"
	"gopkg.in/yaml.v3"
)

// yamlConfig reads the file of --config: a flat map of flag names to values.
// A name that no flag has is an error when kong validates the resolver.
func yamlConfig(r io.Reader) (kong.Resolver, error) {
	var values map[string]any
	if err := yaml.NewDecoder(r).Decode(&values); err != nil && err != io.EOF {
		return nil, err
	}
	return &yamlResolver{values}, nil
}

type yamlResolver struct{ values map[string]any }

// Validate refuses names that no flag has, so that a typing mistake is not
// silently ignored.
func (y *yamlResolver) Validate(app *kong.Application) error {
	known := map[string]bool{}
	var walk func(n *kong.Node)
	walk = func(n *kong.Node) {
		for _, f := range n.Flags {
			known[f.Name] = true
		}
		for _, c := range n.Children {
			walk(c)
		}
	}
	walk(app.Node)
	for name := range y.values {
		if !known[name] {
			return fmt.Errorf("config: unknown setting %q", name)
		}
	}
	return nil
}

// Resolve gives the value of one flag.
func (y *yamlResolver) Resolve(_ *kong.Context, _ *kong.Path, f *kong.Flag) (any, error) {
	v, ok := y.values[f.Name]
	if !ok {
		return nil, nil
	}
	return fmt.Sprint(v), nil
}
