// A QEMU plugin (API 1 to 3, QEMU 4.2 to 9.0) that records which blocks of code a program runs and how often. When the
// program ends, it writes one line per block to the file that GAPCAM_BLOCKS names:
//
//   runs address word word …        address and instruction words in hexadecimal
//
// instructions.mjs decodes the words. The declarations below are copied from QEMU, so no header is needed.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb*));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb*, int op, void* counter, uint64_t add);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void*), void*);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb*);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb*);
struct qemu_plugin_insn* qemu_plugin_tb_get_insn(const struct qemu_plugin_tb*, size_t);
const void* qemu_plugin_insn_data(const struct qemu_plugin_insn*);

#define VISIBLE __attribute__((visibility("default")))

VISIBLE int qemu_plugin_version = 1;

struct block {
  uint64_t runs, address;
  size_t count;
  struct block* next;
  uint32_t words[];
};

static struct block* blocks;

static void Translated(qemu_plugin_id_t id, struct qemu_plugin_tb* tb) {
  (void)id;
  const size_t count = qemu_plugin_tb_n_insns(tb);
  struct block* block = calloc(1, sizeof(struct block) + count * sizeof(uint32_t));
  if (!block) abort();
  block->address = qemu_plugin_tb_vaddr(tb);
  block->count = count;
  for (size_t i = 0; i < count; ++i)
    memcpy(&block->words[i], qemu_plugin_insn_data(qemu_plugin_tb_get_insn(tb, i)), sizeof(uint32_t));
  block->next = blocks;
  blocks = block;
  qemu_plugin_register_vcpu_tb_exec_inline(tb, 0, &block->runs, 1);
}

static void Ended(qemu_plugin_id_t id, void* unused) {
  (void)id, (void)unused;
  FILE* out = fopen(getenv("GAPCAM_BLOCKS"), "w");
  if (!out) return;
  for (const struct block* block = blocks; block; block = block->next) {
    if (block->runs == 0) continue;
    fprintf(out, "%" PRIu64 " %" PRIx64, block->runs, block->address);
    for (size_t i = 0; i < block->count; ++i) fprintf(out, " %" PRIx32, block->words[i]);
    fputc('\n', out);
  }
  fclose(out);
}

VISIBLE int qemu_plugin_install(qemu_plugin_id_t id, const void* info, int argc, char** argv) {
  (void)info, (void)argc, (void)argv;
  if (!getenv("GAPCAM_BLOCKS")) return 1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, Translated);
  qemu_plugin_register_atexit_cb(id, Ended, NULL);
  return 0;
}
