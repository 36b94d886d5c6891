/* postgres_receipt_clean.h - the receipts of a postgres target for receipt_cleaner.h. */
#ifndef TARGETS_POSTGRES_RECEIPT_CLEAN_H
#define TARGETS_POSTGRES_RECEIPT_CLEAN_H

#include "targets/postgres_receipt.h"

/* Starts the cleaner of an exactly-once target, whose receipts these are; nothing for others. */
AW_MUST_CHECK int postgres_receipts_clean(struct postgres_receipts *receipts);

/* Before its pool is freed; the cleaner's task has ended. */
void postgres_receipts_stop(struct postgres_receipts *receipts);

#endif
