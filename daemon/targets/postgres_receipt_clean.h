/* postgres_receipt_clean.h - the receipts of a postgres target for receipt_cleaner.h. */
#ifndef TARGETS_POSTGRES_RECEIPT_CLEAN_H
#define TARGETS_POSTGRES_RECEIPT_CLEAN_H

#include "targets/postgres_receipt.h"

/* Starts the cleaner of an exactly-once target, whose receipts these are. */
AW_MUST_CHECK int postgres_receipts_clean(struct postgres_receipts *receipts);

#endif
