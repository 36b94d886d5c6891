/* certificate.h - certificates for the TLS tests, made by openssl: none in the tree can expire. */
#ifndef SUPPORT_CERTIFICATE_H
#define SUPPORT_CERTIFICATE_H

/* Inside a task: writes <name>.pem and <name>-key.pem into the current folder, a certificate of its
 * own for localhost and 127.0.0.1, trusted by naming it as the authority. */
void certificate_make(const char *name);

#endif
