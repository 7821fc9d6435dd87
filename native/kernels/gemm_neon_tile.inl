R"(
  .altmacro
  // Applies a macro to every row: its number, the registers of its three sums, and those of its address and the one before.
  .macro each operation
    .irp row, 0, 1, 2, 3, 4, 5, 6
      .if \row < %c[rows]
        \operation \row, %%(11 + 3 * \row), %%(12 + 3 * \row), %%(13 + 3 * \row), %%(9 + \row), %%(8 + \row)
      .endif
    .endr
  .endm
  // Applies a macro to every sum of a row; the second argument is the column.
  .macro columns operation, a, b, c
    \operation \a, 0
    .if %c[vectors] > 1
      \operation \b, 1
    .endif
    .if %c[vectors] > 2
      \operation \c, 2
    .endif
  .endm
  // Loads or stores vectors a, b and c, which follow one another, as many as there are columns, and moves the address.
  .macro row_of instruction, a, b, c, at:vararg
    .if %c[vectors] == 1
      \instruction {v\a\().16b}, \at
    .elseif %c[vectors] == 2
      \instruction {v\a\().16b, v\b\().16b}, \at
    .else
      \instruction {v\a\().16b, v\b\().16b, v\c\().16b}, \at
    .endif
  .endm
  .macro fused sum, weight, row, lane
    .if %c[lanes] == 4
      fmla v\sum\().4s, v\weight\().4s, v\row\().s[\lane]
    .else
      fmla v\sum\().8h, v\weight\().8h, v\row\().h[\lane]
    .endif
  .endm
  // Multiplies vector j of the weights of a group of k with every row.
  .macro product weight, j
    .irp row, 0, 1, 2, 3, 4, 5, 6
      .if \row < %c[rows]
        fused %%(11 + (\j) %% %c[vectors] + 3 * \row), \weight, \row, %%((\j) / %c[vectors])
      .endif
    .endr
  .endm
  // Reads two rows of a packed tile.
  .macro pair a, b
    ldp q\a, q\b, [x9], #32
  .endm
  // Reads one vector of k of each row of a packed tile.
  .macro beside
    .irp row, 0, 2, 4, 6
      .if \row + 1 < %c[rows]
        pair \row, %%(\row + 1)
      .elseif \row < %c[rows]
        ldr q\row, [x9], #16
      .endif
    .endr
  .endm
  // Multiplies one group of k.
  .macro groups
    .if %c[packed]
      beside
    .else
      each group
    .endif
    .irp j, 0, 4, 8, 12, 16, 20
      .if \j < %c[lanes] * %c[vectors]
        ldp q7, q8, [%[w]], #32
        product 7, \j
        product 8, \j + 1
        ldp q9, q10, [%[w]], #32
        product 9, \j + 2
        product 10, \j + 3
      .endif
    .endr
  .endm
  .macro begin row, a, b, c, at, before
    row_of ld1, \a, \b, \c, [%[bias]]
  .endm
  .macro address row, a, b, c, at, before
    .if \row > 0
      add x\at, x\before, %[step]
    .endif
  .endm
  .macro group row, a, b, c, at, before
    ldr q\row, [x\at], #16
  .endm
  .macro single row, a, b, c, at, before
    .if %c[lanes] == 4
      ldr s\row, [x\at], #4
    .else
      ldr h\row, [x\at], #2
    .endif
  .endm
  .macro addition sum, column
    .if %c[lanes] == 4
      fadd v\sum\().4s, v\sum\().4s, v\column\().4s
    .else
      fadd v\sum\().8h, v\sum\().8h, v\column\().8h
    .endif
  .endm
  .macro above sum, column
    .if %c[lanes] == 4
      fmax v\sum\().4s, v\sum\().4s, v0.4s
    .else
      fmax v\sum\().8h, v\sum\().8h, v0.8h
    .endif
  .endm
  .macro below sum, column
    .if %c[lanes] == 4
      fmin v\sum\().4s, v\sum\().4s, v1.4s
    .else
      fmin v\sum\().8h, v\sum\().8h, v1.8h
    .endif
  .endm
  .macro add_residual row, a, b, c, at, before
    row_of ld1, 0, 1, 2, [%[residual]], %[stride]
    columns addition, \a, \b, \c
  .endm
  .macro raise row, a, b, c, at, before
    columns above, \a, \b, \c
  .endm
  .macro lower row, a, b, c, at, before
    columns below, \a, \b, \c
  .endm
  .macro finish row, a, b, c, at, before
    row_of st1, \a, \b, \c, [%[y]], %[stride]
  .endm

1:
  each begin
  mov %[w], %[weights]
  ldp %[run], %[taps], [%[task]]
2:
  ldr x9, [%[run]], #8
  add x9, x9, %[from]
  .if %c[packed] == 0
    each address
  .endif
  ldp %[k], %[rest], [%[task], #16]
  subs %[taps], %[taps], #1
  csel %[rest], %[rest], %[k], eq
  lsr %[k], %[rest], #(1 + %c[lanes] / 4)
  cbz %[k], 4f
  tbz %[k], #0, 3f
  add %[k], %[k], #1
  b 9f
3:
  groups
9:
  groups
  subs %[k], %[k], #2
  b.ne 3b
4:
  ands %[rest], %[rest], #(%c[lanes] - 1)
  b.eq 6f
5:
  each single
  row_of ld1, 7, 8, 9, [%[w]], #(16 * %c[vectors])
  product 7, 0
  .if %c[vectors] > 1
    product 8, 1
  .endif
  .if %c[vectors] > 2
    product 9, 2
  .endif
  subs %[rest], %[rest], #1
  b.ne 5b
6:
  cbnz %[taps], 2b
  cbz %[residual], 7f
  each add_residual
7:
  ldr %[k], [%[task], #32]
  cbz %[k], 8f
  ldp q0, q1, [%[task], #48]
  each raise
  tbz %[k], #1, 8f
  each lower
8:
  each finish
  add %[from], %[from], %[tile_step]
  subs %[tiles], %[tiles], #1
  b.ne 1b
  .if %c[packed]
    // The next product: its weights follow, and its tiles begin as far on as the task says.
    ldp %[k], %[rest], [%[task], #80]
    ldp %[run], %[tiles], [%[task], #96]
    subs %[k], %[k], #1
    str %[k], [%[task], #80]
    mov %[weights], %[w]
    add %[from], %[from], %[rest]
    add %[y], %[y], %[run]
    b.ne 1b
  .endif

  .irp name, each, pair, beside, groups, columns, row_of, fused, product, begin, address, group, single
    .purgem \name
  .endr
  .irp name, addition, above, below, add_residual, raise, lower, finish
    .purgem \name
  .endr
  .noaltmacro
)"
