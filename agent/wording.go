package agent

import (
	"cmp"
	"strconv"
	"strings"

	"github.com/faultproxy/fault/faults"
)

// wording is how a word of JSON is told to people. Short is for where there is
// no room; empty is the same.
type wording struct{ long, short string }

// reasonWords is for why flows passed through, connections were left alone, and
// runs ended.
// Words that are not here are told as they are, without hyphens.
var reasonWords = map[string]wording{
	"upstream-not-matched": {"upstream not matched", "not matched"},
	"ambiguous-name":       {"ambiguous name", "ambiguous"},
	"origin-unknown":       {"destination unknown", "unknown"},
	"dns":                  {"DNS", ""},
	"udp":                  {"UDP", ""},
	"quic":                 {"QUIC", ""},
	"device-bound":         {"device-bound", ""},
	"source-bound":         {"source-bound", ""},
	"link-local":           {"link-local", ""},
	"ipv6-only":            {"IPv6-only", ""},
	"ipv6-not-readable":    {"IPv6 not readable", "IPv6"},
	"other-netns":          {"other network namespaces", "other netns"},
	"not-targeted":         {"other processes", ""},
	"limit":                {"above the limit of flows", "above limit"},
}

// failureWords is for why flows failed.
var failureWords = map[string]wording{
	"refused":        {"refused by upstream", "refused"},
	"unreachable":    {"upstream unreachable", "unreachable"},
	"timeout":        {"timed out", ""},
	"reset":          {"connection reset", "reset"},
	"dns":            {"name not resolved", "no such name"},
	"tls":            {"TLS failed", ""},
	"origin-unknown": {"destination unknown", "unknown"},
	"self":           {"leads back to the proxy", "loop"},
	"injected":       {"failed by a fault", "injected"},
	"cut-off":        {"cut off at the end", "cut off"},
	"limit":          {"above the limit of flows", "above limit"},
	"other":          {"other", "failed"},
}

// ReasonWords tells people why flows passed through, connections were left
// alone, or a run ended: the keys of [Report.Passed], the verdicts of
// [Report.Connects], and [Report.Reason].
func ReasonWords(reason string) string { return worded(reasonWords, reason).long }

// FailureWords tells people why flows failed: the keys of [Report.Errors].
func FailureWords(failure string) string { return worded(failureWords, failure).long }

func worded(table map[string]wording, word string) wording {
	w := table[word]
	w.long = cmp.Or(w.long, strings.ReplaceAll(word, "-", " "))
	w.short = cmp.Or(w.short, w.long)
	return w
}

// inWords is counts by reason, with what people are told for the reasons.
func inWords(parts map[string]uint64, words func(string) string) map[string]uint64 {
	told := make(map[string]uint64, len(parts))
	for word, n := range parts {
		told[words(word)] += n
	}
	return told
}

// Labels names the faults of a plan for people, each but once: as JSON does,
// but what answers requests by the status.
func Labels(plan []faults.Planned) []string {
	names := ids(plan)
	for i, f := range plan {
		if answer, ok := f.Fault.(faults.HTTPResponse); ok {
			names[i] = attribute(answer, names[i]) + " " + strconv.Itoa(answer.Status)
		}
	}
	return names
}

// reportLabels names the faults of a report.
func reportLabels(r *Report) []string {
	plan := make([]faults.Planned, len(r.Injected))
	for i := range r.Injected {
		plan[i] = r.Injected[i].Planned
	}
	return Labels(plan)
}
