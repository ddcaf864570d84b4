package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/faultproxy/fault/agent/lines"
)

// logFlags are the global flags about logs.
type logFlags struct {
	file   text
	stdout bool
	level  logLevel
}

func addLogFlags(root *cobra.Command) *logFlags {
	f := &logFlags{file: text{kind: "PATH"}, level: logLevel{"info", zapcore.InfoLevel}}
	flags := root.PersistentFlags()
	flags.Var(&f.file, "log-file", "append log lines to this file")
	variable(flags, "log-file", "FAULT_LOG_FILE")
	flags.BoolVar(&f.stdout, "log-stdout", false, "write log lines to stdout")
	variable(flags, "log-stdout", "FAULT_WITH_STDOUT_LOGGING")
	flags.Var(&f.level, "log-level", "how much to log: debug, info, warn, error")
	variable(flags, "log-level", "FAULT_LOG_LEVEL")
	_ = root.RegisterFlagCompletionFunc("log-level",
		cobra.FixedCompletions([]string{"debug", "info", "warn", "error"}, cobra.ShellCompDirectiveNoFileComp))
	return f
}

// open gives the logger, and what closes it. Log lines share stdout with
// everything else that is written there.
func (f *logFlags) open(stdout *lines.Writer) (*zap.Logger, func(), error) {
	config := zap.NewProductionEncoderConfig()
	config.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	config.EncodeLevel = zapcore.CapitalLevelEncoder
	encoder := zapcore.NewConsoleEncoder(config)
	var cores []zapcore.Core
	if f.stdout {
		cores = append(cores, zapcore.NewCore(encoder, zapcore.AddSync(printer{stdout}), f.level.level))
	}
	closeFile := func() {}
	if f.file.value != "" {
		file, err := os.OpenFile(f.file.value, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return nil, nil, fmt.Errorf("open the log file: %w", err)
		}
		closeFile = func() { file.Close() }
		cores = append(cores, zapcore.NewCore(encoder, zapcore.Lock(file), f.level.level))
	}
	return zap.New(zapcore.NewTee(cores...)), closeFile, nil
}

// logLevel is a flag value: a level, or the original's filter directives, of
// which only those that are a level alone mean something here.
type logLevel struct {
	text  string
	level zapcore.Level
}

func (l *logLevel) String() string { return l.text }
func (l *logLevel) Type() string   { return "LEVEL" }

func (l *logLevel) Set(text string) error {
	level := zapcore.InfoLevel
	for directive := range strings.SplitSeq(text, ",") {
		if strings.Contains(directive, "=") {
			continue
		}
		known, ok := levels[strings.ToLower(strings.TrimSpace(directive))]
		if !ok {
			return fmt.Errorf("`%s` is unknown; it must be debug, info, warn or error", directive)
		}
		level = known
	}
	*l = logLevel{text, level}
	return nil
}

var levels = map[string]zapcore.Level{
	"trace": zapcore.DebugLevel, "debug": zapcore.DebugLevel, "info": zapcore.InfoLevel, "warn": zapcore.WarnLevel, "error": zapcore.ErrorLevel,
}

// printer is a lines.Writer as an io.Writer of whole lines.
type printer struct{ out *lines.Writer }

func (p printer) Write(line []byte) (int, error) {
	p.out.Print(string(line))
	return len(line), nil
}
