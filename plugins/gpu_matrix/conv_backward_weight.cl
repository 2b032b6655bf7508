//@ plugin:    gpu_matrix 1.0.0
//@ abi:       1
//@ include:   macros.clh fours.clh units.clh gpu_slice.clh gpu_matrix.clh gpu_conv_weight.clh
//@ let:       SLOTS = max(1, min(ceildiv(N*HO*WO, 256), GROUPS/(ceildiv(KH*KW*C, BM)*ceildiv(O, BN))))
//@ let:       LANES = 32 + 32*(LAYOUT == 4) - 24*(LAYOUT == 5) - 16*(LAYOUT == 6)
//@ let:       ITEMS = (BM/SM)*(BN/SN)*LANES
//@ let:       FITS = BM >= SM && BN >= SN && ITEMS <= min(wg, 256) && (BM + BN)*(BK + 8)*4 + BM*20 + 256 <= local_bytes && N*HO*WO < 2147483648 - 128
//@ all:       device: gpu
//@ all:       by_name: no GPU has run it yet
//@ all:       bake: *
//@ all:       registers: SM*SN/LANES*(1 + AHEAD)
//@ all:       tune: AHEAD = 0 1
//@ all:       define: GROUPS = 1024
//@ all:       workspace: KH*KW*C*O*SLOTS
//@ all:       when: FITS
//@ all:       score: 50
//@ all:       tune: BM = 64 32 128
//@ all:       tune: BK = 32 16
//@ all:       tune: BN = 64 32 128
//@ all:       tune: SM = 32 16 64
//@ all:       tune: SN = 32 16 64
//@ op:        conv.backward_weight/1
//@ kernel:    conv_backward_weight__nvidia
//@ global:    ceildiv(KH*KW*roundup(C, 1 + 31*X_BITS), BM)*ITEMS, ceildiv(O, BN), SLOTS
//@ local:     ITEMS, 1, 1
//@ kernel:    conv_backward_weight__add
//@ global:    KH*KW*C*O
//@ define:    LAYOUT = 1
//@ needs:     matrix_nvidia
//@ tune:      KEEP = 1 0
//@ define:    NAME = conv_backward_weight__nvidia
//@ about:     implicit GEMM over fixed slots of pixels on the matrix units of NVIDIA's GPUs from sm_80 on, slots added in order
//@ op:        conv.backward_weight/1
//@ kernel:    conv_backward_weight__rdna3
//@ global:    ceildiv(KH*KW*roundup(C, 1 + 31*X_BITS), BM)*ITEMS, ceildiv(O, BN), SLOTS
//@ local:     ITEMS, 1, 1
//@ kernel:    conv_backward_weight__add
//@ global:    KH*KW*C*O
//@ define:    LAYOUT = 2
//@ needs:     matrix_rdna3
//@ tune:      KEEP = 1 0
//@ define:    NAME = conv_backward_weight__rdna3
//@ about:     implicit GEMM over fixed slots of pixels on the matrix units of AMD's RDNA 3, slots added in order
//@ op:        conv.backward_weight/1
//@ kernel:    conv_backward_weight__rdna4
//@ global:    ceildiv(KH*KW*roundup(C, 1 + 31*X_BITS), BM)*ITEMS, ceildiv(O, BN), SLOTS
//@ local:     ITEMS, 1, 1
//@ kernel:    conv_backward_weight__add
//@ global:    KH*KW*C*O
//@ define:    LAYOUT = 3
//@ needs:     matrix_rdna4
//@ tune:      KEEP = 1 0
//@ define:    NAME = conv_backward_weight__rdna4
//@ about:     implicit GEMM over fixed slots of pixels on the matrix units of AMD's RDNA 4, slots added in order
//@ op:        conv.backward_weight/1
//@ kernel:    conv_backward_weight__cdna
//@ global:    ceildiv(KH*KW*roundup(C, 1 + 31*X_BITS), BM)*ITEMS, ceildiv(O, BN), SLOTS
//@ local:     ITEMS, 1, 1
//@ kernel:    conv_backward_weight__add
//@ global:    KH*KW*C*O
//@ define:    LAYOUT = 4
//@ needs:     matrix_cdna
//@ tune:      KEEP = 1 0
//@ define:    NAME = conv_backward_weight__cdna
//@ about:     implicit GEMM over fixed slots of pixels on the matrix units of AMD's CDNA 2 and later, slots added in order
//@ op:        conv.backward_weight/1
//@ kernel:    conv_backward_weight__intel8
//@ global:    ceildiv(KH*KW*roundup(C, 1 + 31*X_BITS), BM)*ITEMS, ceildiv(O, BN), SLOTS
//@ local:     ITEMS, 1, 1
//@ kernel:    conv_backward_weight__add
//@ global:    KH*KW*C*O
//@ define:    LAYOUT = 5
//@ needs:     matrix_intel8
//@ tune:      BK = 16 32
//@ tune:      SM = 16 32
//@ tune:      SN = 8 16 32
//@ when:      FITS && O % 4 == 0
//@ tune:      KEEP = 0 1
//@ define:    NAME = conv_backward_weight__intel8
//@ about:     implicit GEMM over fixed slots of pixels on the matrix units of Intel's GPUs with sub-groups of 8, slots added in order
//@ op:        conv.backward_weight/1
//@ kernel:    conv_backward_weight__intel16
//@ global:    ceildiv(KH*KW*roundup(C, 1 + 31*X_BITS), BM)*ITEMS, ceildiv(O, BN), SLOTS
//@ local:     ITEMS, 1, 1
//@ kernel:    conv_backward_weight__add
//@ global:    KH*KW*C*O
//@ define:    LAYOUT = 6
//@ needs:     matrix_intel16
//@ tune:      BK = 16 32
//@ tune:      SM = 32 16
//@ tune:      SN = 16 32
//@ when:      FITS && O % 4 == 0
//@ tune:      KEEP = 0 1
//@ define:    NAME = conv_backward_weight__intel16
//@ about:     implicit GEMM over fixed slots of pixels on the matrix units of Intel's GPUs with sub-groups of 16, slots added in order
//@ op:        conv.backward_weight/1
//@ kernel:    conv_backward_weight__emulated
//@ global:    ceildiv(KH*KW*roundup(C, 1 + 31*X_BITS), BM)*ITEMS, ceildiv(O, BN), SLOTS
//@ local:     ITEMS, 1, 1
//@ kernel:    conv_backward_weight__add
//@ global:    KH*KW*C*O
//@ tune:      LAYOUT = 1 2 3 4 5 6
//@ define:    EMULATED = 1
//@ tune:      BM = 32 64
//@ tune:      BN = 32 64
//@ tune:      SM = 16 32
//@ tune:      SN = 16 32
//@ device:    cpu accelerator
//@ by_name:   emulates the matrix units of GPUs, for tests
//@ tune:      KEEP = 1 0
//@ define:    NAME = conv_backward_weight__emulated
//@ about:     the same with the instructions of a matrix unit emulated lane by lane

/* The kernels are in gpu_conv_weight.clh, which gpu_conv shares; how slices are multiplied is in gpu_matrix.clh. */
