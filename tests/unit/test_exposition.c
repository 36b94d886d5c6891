/* test_exposition.c - the text of samples, and that no label's value can break it. */
#include "protocol/exposition.h"

#include <criterion/criterion.h>

static struct buffer out;

static void expect(const char *text)
{
    buffer_append(&out, "", 1);
    cr_expect_str_eq(out.data, text);
    buffer_free(&out);
}

Test(exposition, a_family_and_its_samples)
{
    exposition_family(&out, "jobs_total", "counter", "Jobs.");
    exposition_count(&out, "jobs_total", NO_LABELS, UINT64_MAX);
    exposition_count(&out, "jobs_total", LABEL("queue", "a"), 0);
    exposition_number(&out, "jobs_total", LABELS("queue", "a", "state", "done"), 0.25);
    expect("# HELP jobs_total Jobs.\n# TYPE jobs_total counter\njobs_total 18446744073709551615\n"
           "jobs_total{queue=\"a\"} 0\njobs_total{queue=\"a\",state=\"done\"} 0.25\n");
}

Test(exposition, a_label_without_a_name_is_left_out)
{
    exposition_count(&out, "x", LABELS("quantile", "0.5", NULL, NULL), 1);
    exposition_count(&out, "x", LABELS(NULL, NULL, "queue", "q"), 1);
    expect("x{quantile=\"0.5\"} 1\nx{queue=\"q\"} 1\n");
}

Test(exposition, values_are_escaped)
{
    exposition_count(&out, "x", LABEL("a", "q\"b\\s\nn"), 1);
    expect("x{a=\"q\\\"b\\\\s\\nn\"} 1\n");
}

Test(exposition, what_is_no_utf8_is_replaced)
{
    exposition_count(&out, "x", LABEL("a", "\xc3\xa9 \xff \xc3( \xe2\x82\xac \xe2\x82"), 1);
    expect("x{a=\"\xc3\xa9 ? ?( \xe2\x82\xac ??\"} 1\n");
}
