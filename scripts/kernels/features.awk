# Collects the "FEATURE name yes|no why" lines of the logs, one log a kernel,
# into a table, and says below it why a kernel lacks a feature. A feature told
# twice is there only if it was there both times.
FNR == 1 {
	kernel = FILENAME
	sub(/.*\//, "", kernel)
	sub(/\.log$/, "", kernel)
	kernels[++nkernels] = kernel
}
/^( *[^ ]+_test\.go:[0-9]+: )?FEATURE [^ ]+ (yes|no)/ {
	sub(/^.*FEATURE /, "")
	name = $1
	if (!(name in known)) {
		known[name] = 1
		names[++nnames] = name
		if (length(name) > width) width = length(name)
	}
	if (has[kernel, name] == "no") next
	has[kernel, name] = $2
	if ($2 == "no") {
		why = $0
		sub(/^[^ ]+ no */, "", why)
		reasons[++nreasons] = kernel " has no " name (why == "" ? "" : ": " why)
	}
}
END {
	if (!nnames) exit
	first = "%-" width "s"
	printf "\n" first, "feature"
	for (k = 1; k <= nkernels; k++) printf " %6s", kernels[k]
	print ""
	for (n = 1; n <= nnames; n++) {
		printf first, names[n]
		for (k = 1; k <= nkernels; k++)
			printf " %6s", ((kernels[k], names[n]) in has) ? has[kernels[k], names[n]] : "-"
		print ""
	}
	for (n = 1; n <= nreasons; n++) print reasons[n]
}
