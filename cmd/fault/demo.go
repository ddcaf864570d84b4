package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/faultproxy/fault/cmd/fault/demo"
)

func newDemo(env environment) *cobra.Command {
	parent := &cobra.Command{
		Use:   "demo",
		Short: "A small server to try faults on",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var address string
	var port uint16
	cmd := &cobra.Command{
		Use:   "run [ADDRESS] [PORT]",
		Short: "Serve pages to try faults on, until Ctrl-C or SIGTERM",
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
			ctx, _, stop := env.untilAsked(cmd.Context())
			defer stop()
			err := demo.Run(ctx, demo.Config{Host: address, Port: port, Out: env.stdout, Getenv: env.getenv})
			if proxy, ok := errors.AsType[*demo.ProxyError](err); ok {
				return usage(proxy.Error(), "")
			}
			return err
		},
	}
	cmd.Flags().StringVar(&address, "address", "127.0.0.1", "listen on this address or host name")
	variable(cmd.Flags(), "address", "FAULT_DEMO_ADDR")
	cmd.Flags().Uint16Var(&port, "port", 7070, "listen on this port; 0 takes a free one")
	variable(cmd.Flags(), "port", "FAULT_DEMO_PORT")
	parent.AddCommand(cmd)
	return parent
}
