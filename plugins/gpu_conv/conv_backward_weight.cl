//@ plugin:    gpu_conv 1.0.0
//@ abi:       1
//@ include:   macros.clh fours.clh gpu_slice.clh gpu_tile.clh gpu_conv_weight.clh
//@ let:       SLOTS = max(1, min(ceildiv(N*HO*WO, 256), GROUPS/(ceildiv(KH*KW*C, BM)*ceildiv(O, BN))))
//@ let:       ITEMS = (BM/TM)*(BN/TN)
//@ let:       FITS = BM*BN <= min(wg, 256)*TM*TN && (BM + BN + 8)*BK*4 + BM*20 + 256 <= local_bytes && N*HO*WO < 2147483648 - 128
//@ all:       bake: *
//@ all:       device: gpu
//@ all:       define: GROUPS = 1024
//@ all:       registers: TM*TN*(1 + AHEAD)
//@ all:       workspace: KH*KW*C*O*SLOTS
//@ op:        conv.backward_weight/1
//@ kernel:    conv_backward_weight__slots
//@ global:    ceildiv(KH*KW*roundup(C, 1 + 31*X_BITS), BM)*ITEMS, ceildiv(O, BN), SLOTS
//@ local:     ITEMS, 1, 1
//@ kernel:    conv_backward_weight__add
//@ global:    KH*KW*C*O
//@ tune:      BM = 64 32 128
//@ tune:      BN = 64 32
//@ tune:      BK = 16 32
//@ tune:      TM = 4 8
//@ tune:      AHEAD = 0 1
//@ tune:      TN = 4 8
//@ tune:      KEEP = 1 0
//@ vendor:    amd TM=8 BM=128
//@ vendor:    nvidia TM=8 BK=32
//@ vendor:    intel KEEP=0
//@ define:    NAME = conv_backward_weight__slots
//@ when:      FITS
//@ score:     40
//@ about:     implicit GEMM in local memory over fixed slots of pixels, whose sums are added in order; pixels without a spike are skipped
//@ op:        conv.backward_weight/1
//@ kernel:    conv_backward_weight__few
//@ global:    ITEMS, ceildiv(O, BN), SLOTS
//@ local:     ITEMS, 1, 1
//@ kernel:    conv_backward_weight__add
//@ global:    KH*KW*C*O
//@ define:    BM = 32
//@ define:    NAME = conv_backward_weight__few
//@ tune:      BN = 64 32
//@ tune:      BK = 16 8 32
//@ tune:      TM = 4 8
//@ tune:      AHEAD = 0 1
//@ tune:      TN = 4 8
//@ tune:      KEEP = 1 0
//@ vendor:    amd TM=8 BK=8
//@ vendor:    nvidia BK=32
//@ vendor:    intel KEEP=0
//@ when:      !X_BITS && KH*KW*C <= 32 && FITS
//@ score:     45
//@ about:     the same with a tile for the few weights of a first layer

/* The kernels are in gpu_conv_weight.clh, which gpu_matrix shares. */
