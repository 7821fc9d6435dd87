/**
 * The names and numbers of TFLite's schema (schema.fbs of TensorFlow, version 3) as far as gapcam reads them: types of
 * tensors and operators, and the fields of options tables, each by its index.
 */
import type { TensorType } from '../../tensor.js'

/** TensorType, by number. int4, bfloat16, complex and string tensors are not read. */
export const tensorTypes: readonly (TensorType | undefined)[] = [
  'float32',
  'float16',
  'int32',
  'uint8',
  'int64',
  undefined,
  'bool',
  'int16',
  undefined,
  'int8',
  'float64',
  undefined,
  'uint64',
  undefined,
  undefined,
  'uint32',
  'uint16',
]

/** The types that are not read, by number, for the sentence of a refusal. */
export const otherTypes: Readonly<Record<number, string>> = {
  5: 'text',
  8: 'complex numbers',
  11: 'complex numbers',
  13: 'a resource',
  14: 'a variant',
  17: '4-bit integers',
  18: 'bfloat16',
}

/** BuiltinOperator by number. The list ends where image networks need no more. */
export const operatorNames =
  `ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP FLOOR
FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC LSH_PROJECTION LSTM
MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS
SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND
TRANSPOSE MEAN SUB DIV SQUEEZE UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT
LOG_SOFTMAX DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER GREATER_EQUAL
LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL LOG SUM SQRT RSQRT SHAPE POW
ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV
REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS
SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG
ROUND HARD_SWISH IF WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM
BATCH_MATMUL PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS HASHTABLE
HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE
BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1`.split(
    /\s+/,
  )

/** BuiltinOperator.CUSTOM: the operator code has a name. */
export const customOperator = operatorNames.indexOf('CUSTOM')
/** Codes above it do not fit the old one-byte field of an operator code. */
export const lastOldCode = operatorNames.indexOf('PLACEHOLDER_FOR_GREATER_OP_CODES')

/** Padding, by number. */
export const paddings = ['SAME', 'VALID'] as const
export type Padding = (typeof paddings)[number]

/** ActivationFunctionType, by number. */
export const fusedActivations = ['none', 'relu', 'reluN1To1', 'relu6', 'tanh', 'signBit'] as const
