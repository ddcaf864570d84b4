package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flagError says what pflag found, in the words of this program.
func flagError(cmd *cobra.Command, err error) error {
	lists := fmt.Sprintf("`%s --help` lists the flags", cmd.CommandPath())
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		return unknownFlag(cmd, unknown, lists)
	}
	if missing, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return usage(fmt.Sprintf("--%s needs a value", missing.GetSpecifiedName()), lists)
	}
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return badValue(invalid.GetFlag(), err)
	}
	return usage(err.Error(), lists)
}

func unknownFlag(cmd *cobra.Command, unknown *pflag.NotExistError, lists string) error {
	// Behind one dash every letter is a flag; who writes more may mean a name.
	typed, dashed := unknown.GetSpecifiedName(), "--"+unknown.GetSpecifiedName()
	if letters := unknown.GetSpecifiedShortnames(); letters != "" {
		typed, dashed = letters, "-"+typed
	}
	refused := fmt.Sprintf("unknown flag `%s` for `%s`", dashed, cmd.CommandPath())
	if run, _, err := cmd.Root().Find([]string{"run"}); err == nil && cmd != run && run.Flags().Lookup(unknown.GetSpecifiedName()) != nil {
		return usage(refused, fmt.Sprintf("it is a flag of another command: `fault run %s`", dashed))
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden && len(typed) > 1 {
			names = append(names, f.Name)
		}
	})
	near := nearest(typed, names)
	if near != "" {
		near = "--" + near
	}
	return usage(refused, hint(near, lists))
}

// badValue is what a value said about itself, behind the name of its flag and
// without pflag's words around.
func badValue(f *pflag.Flag, err error) error {
	if invalid, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		err = errors.Unwrap(invalid)
	}
	says := ""
	if own, ok := errors.AsType[*usageError](err); ok {
		says = own.hint
	}
	if number, ok := errors.AsType[*strconv.NumError](err); ok {
		err = fmt.Errorf("`%s` is not what it takes: %w", number.Num, number.Err)
	}
	return usage(fmt.Sprintf("%s %v", called(f), err), says)
}
