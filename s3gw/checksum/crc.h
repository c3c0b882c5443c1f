/* SPDX-License-Identifier: Apache-2.0 — crc.h: the three CRCs of S3, and putting CRCs together.
 *
 * All take the value so far (0 at the start) and give the value with the bytes added: the inversion
 * at both ends happens inside, as in zlib. Any thread.
 * Source: the Rocksoft model: CRC-32 (ISO-HDLC), CRC-32C (iSCSI), CRC-64/NVME. */
#pragma once

#include <stddef.h>
#include <stdint.h>

uint32_t crc32_add(uint32_t crc, const void *bytes, size_t n);
uint32_t crc32c_add(uint32_t crc, const void *bytes, size_t n);
/* Carry-less multiplication where the machine has it, a table otherwise. */
uint64_t crc64nvme_add(uint64_t crc, const void *bytes, size_t n);
/* The table alone: what the fast way is tested against. */
uint64_t crc64nvme_add_portable(uint64_t crc, const void *bytes, size_t n);

/* The CRC of A followed by B, from the CRCs of both and B's length. */
uint32_t crc32_join(uint32_t a, uint32_t b, uint64_t b_bytes);
uint32_t crc32c_join(uint32_t a, uint32_t b, uint64_t b_bytes);
uint64_t crc64nvme_join(uint64_t a, uint64_t b, uint64_t b_bytes);
