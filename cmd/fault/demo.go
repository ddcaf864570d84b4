package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/faultproxy/fault/agent"
	"github.com/faultproxy/fault/cmd/fault/demo"
)

func newDemo(env environment) *cobra.Command {
	parent := &cobra.Command{
		Use:   "demo",
		Short: "A small server to try faults on",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	address := text{kind: "HOST", value: "127.0.0.1", mayBeEmpty: true}
	var stay stay
	port := whole("PORT", "a port, 0 to 65535", 0, 65535).byDefault(7070)
	cmd := &cobra.Command{
		Use:   "run [ADDRESS] [PORT]",
		Short: "Serve pages to try faults on",
		Long: `Serve pages to try faults on, until Ctrl-C or SIGTERM. The address and the port
may be arguments, too.`,
		Example: `  fault demo run
  fault demo run 0.0.0.0 8080`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 2 {
				return usage(fmt.Sprintf("`fault demo run` takes an address and a port, not also `%s`", args[2]), "")
			}
			// An argument is the flag in another place.
			for i, flag := range []string{"address", "port"}[:len(args)] {
				if err := cmd.Flags().Set(flag, args[i]); err != nil {
					return flagError(cmd, err)
				}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, _, stop := env.untilAsked(cmd.Context(), stay.watched(env), nil)
			defer stop()
			err := demo.Run(ctx, demo.Config{
				Host: address.value, Port: uint16(port.value), Out: env.stdout, Getenv: env.getenv,
				Opened: func() { _ = agent.DropPrivilege() }, // or it stays as it was started
			})
			if proxy, ok := errors.AsType[*demo.ProxyError](err); ok {
				return usage(proxy.Error(), "")
			}
			return err
		},
	}
	s := section{cmd, "Demo"}
	s.value(&address, "address", "listen on this address or host name", "FAULT_DEMO_ADDR")
	s.value(&port, "port", "listen on this port; 0 takes a free one", "FAULT_DEMO_PORT")
	stay.add(s)
	parent.AddCommand(cmd)
	return parent
}
