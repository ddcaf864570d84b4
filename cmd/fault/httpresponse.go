package main

import "github.com/faultproxy/fault/faults"

// httpResponseSettings are the settings of the HTTP response fault.
type httpResponseSettings struct {
	status      number
	body        text
	probability number
}

func newHTTPResponseSettings() *httpResponseSettings {
	return &httpResponseSettings{
		status:      whole("CODE", "a whole number, 200 to 599; a status below 200 does not answer a request", 200, 599).byDefault(500),
		body:        text{kind: "TEXT", mayBeEmpty: true},
		probability: probability().byDefault(1),
	}
}

func (f *httpResponseSettings) add(s section) {
	s.value(&f.status, "http-response-status", "the status of the answer", "FAULT_HTTP_FAULT_STATUS")
	more(s.value(&f.body, "http-response-body", "the answer's body", "FAULT_HTTP_FAULT_BODY"),
		"A body that is JSON is said to be JSON.")
	s.value(&f.probability, "http-response-trigger-probability", "the share of requests that is answered", "FAULT_HTTP_FAULT_PROBABILITY")
}

func (f *httpResponseSettings) fault(faults.Links, *commandLine) (faults.Fault, error) {
	return faults.HTTPResponse{Status: int(f.status.value), Body: f.body.value, Probability: f.probability.value}, nil
}
