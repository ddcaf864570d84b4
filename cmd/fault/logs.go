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
	f := &logFlags{file: text{kind: "PATH", isPath: true}, level: logLevel{"info", zapcore.InfoLevel}}
	s := section{root, globalTitle}
	more(s.value(&f.file, "log-file", "append log lines to this file", "FAULT_LOG_FILE"),
		"It is made if it is not there. The lines are those of `--log-stdout`.")
	more(s.toggle(&f.stdout, "log-stdout", "write log lines to stdout", "FAULT_WITH_STDOUT_LOGGING"),
		"They stand among the other lines; there is no view then. With `--json` they go to stderr.")
	more(s.value(&f.level, "log-level", "how much to log", "FAULT_LOG_LEVEL"),
		"Directives of the original such as `info,hyper=trace` are taken; what has a `=` means nothing here.")
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
			return usage(fmt.Sprintf("`%s` is unknown; it must be %s", directive, oneOf(logLevels)), hint(nearest(directive, logLevels), ""))
		}
		level = known
	}
	*l = logLevel{text, level}
	return nil
}

func (l *logLevel) takes() string { return oneOf(logLevels) }

func (l *logLevel) complete(string) ([]string, cobra.ShellCompDirective) {
	return logLevels, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

var logLevels = []string{"debug", "info", "warn", "error"}

// levels is them, and the original's.
var levels = map[string]zapcore.Level{
	"trace": zapcore.DebugLevel, "debug": zapcore.DebugLevel, "info": zapcore.InfoLevel, "warn": zapcore.WarnLevel, "error": zapcore.ErrorLevel,
}

// printer is a lines.Writer as an io.Writer of whole lines.
type printer struct{ out *lines.Writer }

func (p printer) Write(line []byte) (int, error) {
	p.out.Print(string(line))
	return len(line), nil
}
