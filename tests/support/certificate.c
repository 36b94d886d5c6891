/* certificate.c - see certificate.h. */
#include "support/certificate.h"

#include <await.h>

#include <criterion/criterion.h>
#include <stdio.h>

void certificate_make(const char *name)
{
    char certificate[64];
    char key[64];
    snprintf(certificate, sizeof certificate, "%s.pem", name);
    snprintf(key, sizeof key, "%s-key.pem", name);
    const char *arguments[] = {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                               "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key,
                               "-out", certificate, "-days", "2", "-subj", "/CN=localhost",
                               "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", NULL};
    struct aw_process_options options = {.arguments = arguments};
    struct aw_process_output output;
    cr_assert_eq(aw_process_run(&options, NULL, 0, 1 << 16, &output, NULL), 0);
    cr_assert_eq(output.status, 0, "openssl made no certificate");
    aw_process_output_free(&output);
}
