//@ plugin:    gpu_matrix 1.0.0
//@ abi:       1
//@ include:   macros.clh fours.clh units.clh gpu_slice.clh gpu_matrix.clh gpu_conv_rows.clh gpu_conv_spikes.clh gpu_conv_floats.clh gpu_conv.clh
//@ let:       LANES = 32 + 32*(LAYOUT == 4) - 24*(LAYOUT == 5) - 16*(LAYOUT == 6)
//@ let:       ITEMS = (BM/SM)*(BN/SN)*LANES
//@ let:       FITS = BM >= SM && BN >= SN && ITEMS <= min(wg, 256) && BM <= 4*ITEMS && (BM + BN)*(BK + 8)*4 + BM*21 <= local_bytes
//@ all:       device: gpu
//@ all:       by_name: no GPU has run it yet
//@ all:       bake: *
//@ all:       registers: SM*SN/LANES*(1 + AHEAD)
//@ all:       tune: AHEAD = 0 1
//@ all:       score: 50
//@ all:       tune: BM = 64 32 128
//@ all:       tune: BK = 32 16
//@ all:       tune: BN = 64 32 128
//@ all:       tune: SM = 32 16 64
//@ all:       tune: SN = 32 16 64
//@ op:        conv.forward/1
//@ kernel:    conv_forward__nvidia
//@ global:    ceildiv(N*HO*WO, BM)*ITEMS, ceildiv(O, BN)
//@ local:     ITEMS, 1
//@ define:    LAYOUT = 1
//@ needs:     matrix_nvidia
//@ define:    NAME = conv_forward__nvidia
//@ define:    PASS = 1
//@ when:      FITS && N*HO*WO < 2147483648 - 128
//@ about:     implicit GEMM: spikes and two parts of the weights on the matrix units of NVIDIA's GPUs from sm_80 on
//@ op:        conv.forward/1
//@ kernel:    conv_forward__rdna3
//@ global:    ceildiv(N*HO*WO, BM)*ITEMS, ceildiv(O, BN)
//@ local:     ITEMS, 1
//@ define:    LAYOUT = 2
//@ needs:     matrix_rdna3
//@ define:    NAME = conv_forward__rdna3
//@ define:    PASS = 1
//@ when:      FITS && N*HO*WO < 2147483648 - 128
//@ about:     implicit GEMM: spikes and two parts of the weights on the matrix units of AMD's RDNA 3
//@ op:        conv.forward/1
//@ kernel:    conv_forward__rdna4
//@ global:    ceildiv(N*HO*WO, BM)*ITEMS, ceildiv(O, BN)
//@ local:     ITEMS, 1
//@ define:    LAYOUT = 3
//@ needs:     matrix_rdna4
//@ define:    NAME = conv_forward__rdna4
//@ define:    PASS = 1
//@ when:      FITS && N*HO*WO < 2147483648 - 128
//@ about:     implicit GEMM: spikes and two parts of the weights on the matrix units of AMD's RDNA 4
//@ op:        conv.forward/1
//@ kernel:    conv_forward__cdna
//@ global:    ceildiv(N*HO*WO, BM)*ITEMS, ceildiv(O, BN)
//@ local:     ITEMS, 1
//@ define:    LAYOUT = 4
//@ needs:     matrix_cdna
//@ define:    NAME = conv_forward__cdna
//@ define:    PASS = 1
//@ when:      FITS && N*HO*WO < 2147483648 - 128
//@ about:     implicit GEMM: spikes and two parts of the weights on the matrix units of AMD's CDNA 2 and later
//@ op:        conv.forward/1
//@ kernel:    conv_forward__intel8
//@ global:    ceildiv(N*HO*WO, BM)*ITEMS, ceildiv(O, BN)
//@ local:     ITEMS, 1
//@ define:    LAYOUT = 5
//@ needs:     matrix_intel8
//@ tune:      BK = 16 32
//@ tune:      SM = 16 32
//@ tune:      SN = 16 32
//@ define:    NAME = conv_forward__intel8
//@ define:    PASS = 1
//@ when:      FITS && N*HO*WO < 2147483648 - 128 && O % 4 == 0
//@ about:     implicit GEMM: spikes and two parts of the weights on the matrix units of Intel's GPUs with sub-groups of 8
//@ op:        conv.forward/1
//@ kernel:    conv_forward__intel16
//@ global:    ceildiv(N*HO*WO, BM)*ITEMS, ceildiv(O, BN)
//@ local:     ITEMS, 1
//@ define:    LAYOUT = 6
//@ needs:     matrix_intel16
//@ tune:      SM = 32 16
//@ tune:      SN = 16 32
//@ define:    NAME = conv_forward__intel16
//@ define:    PASS = 1
//@ when:      FITS && N*HO*WO < 2147483648 - 128 && O % 4 == 0
//@ about:     implicit GEMM: spikes and two parts of the weights on the matrix units of Intel's GPUs with sub-groups of 16
//@ op:        conv.forward/1
//@ kernel:    conv_forward__emulated
//@ global:    ceildiv(N*HO*WO, BM)*ITEMS, ceildiv(O, BN)
//@ local:     ITEMS, 1
//@ tune:      LAYOUT = 1 2 3 4 5 6
//@ define:    EMULATED = 1
//@ tune:      BM = 32 64
//@ tune:      BN = 32 64
//@ tune:      SM = 16 32
//@ tune:      SN = 16 32
//@ device:    cpu accelerator
//@ by_name:   emulates the matrix units of GPUs, for tests
//@ define:    NAME = conv_forward__emulated
//@ define:    PASS = 1
//@ when:      FITS && N*HO*WO < 2147483648 - 128
//@ about:     the same with the instructions of a matrix unit emulated lane by lane
//@ op:        conv.backward_input/1
//@ kernel:    conv_backward_input__nvidia
//@ global:    ceildiv(N*ceildiv(H, SH)*ceildiv(W, SW), BM)*ITEMS, ceildiv(C, BN), SH*SW
//@ local:     ITEMS, 1, 1
//@ define:    LAYOUT = 1
//@ needs:     matrix_nvidia
//@ define:    NAME = conv_backward_input__nvidia
//@ define:    PASS = 2
//@ when:      FITS && N*H*W < 2147483648 - 128
//@ about:     implicit GEMM: both factors in two parts on the matrix units of NVIDIA's GPUs from sm_80 on
//@ op:        conv.backward_input/1
//@ kernel:    conv_backward_input__rdna3
//@ global:    ceildiv(N*ceildiv(H, SH)*ceildiv(W, SW), BM)*ITEMS, ceildiv(C, BN), SH*SW
//@ local:     ITEMS, 1, 1
//@ define:    LAYOUT = 2
//@ needs:     matrix_rdna3
//@ define:    NAME = conv_backward_input__rdna3
//@ define:    PASS = 2
//@ when:      FITS && N*H*W < 2147483648 - 128
//@ about:     implicit GEMM: both factors in two parts on the matrix units of AMD's RDNA 3
//@ op:        conv.backward_input/1
//@ kernel:    conv_backward_input__rdna4
//@ global:    ceildiv(N*ceildiv(H, SH)*ceildiv(W, SW), BM)*ITEMS, ceildiv(C, BN), SH*SW
//@ local:     ITEMS, 1, 1
//@ define:    LAYOUT = 3
//@ needs:     matrix_rdna4
//@ define:    NAME = conv_backward_input__rdna4
//@ define:    PASS = 2
//@ when:      FITS && N*H*W < 2147483648 - 128
//@ about:     implicit GEMM: both factors in two parts on the matrix units of AMD's RDNA 4
//@ op:        conv.backward_input/1
//@ kernel:    conv_backward_input__cdna
//@ global:    ceildiv(N*ceildiv(H, SH)*ceildiv(W, SW), BM)*ITEMS, ceildiv(C, BN), SH*SW
//@ local:     ITEMS, 1, 1
//@ define:    LAYOUT = 4
//@ needs:     matrix_cdna
//@ define:    NAME = conv_backward_input__cdna
//@ define:    PASS = 2
//@ when:      FITS && N*H*W < 2147483648 - 128
//@ about:     implicit GEMM: both factors in two parts on the matrix units of AMD's CDNA 2 and later
//@ op:        conv.backward_input/1
//@ kernel:    conv_backward_input__intel8
//@ global:    ceildiv(N*ceildiv(H, SH)*ceildiv(W, SW), BM)*ITEMS, ceildiv(C, BN), SH*SW
//@ local:     ITEMS, 1, 1
//@ define:    LAYOUT = 5
//@ needs:     matrix_intel8
//@ tune:      BK = 16 32
//@ tune:      SM = 16 32
//@ tune:      SN = 16 32
//@ define:    NAME = conv_backward_input__intel8
//@ define:    PASS = 2
//@ when:      FITS && N*H*W < 2147483648 - 128 && O % 4 == 0
//@ about:     implicit GEMM: both factors in two parts on the matrix units of Intel's GPUs with sub-groups of 8
//@ op:        conv.backward_input/1
//@ kernel:    conv_backward_input__intel16
//@ global:    ceildiv(N*ceildiv(H, SH)*ceildiv(W, SW), BM)*ITEMS, ceildiv(C, BN), SH*SW
//@ local:     ITEMS, 1, 1
//@ define:    LAYOUT = 6
//@ needs:     matrix_intel16
//@ tune:      SM = 32 16
//@ tune:      SN = 16 32
//@ define:    NAME = conv_backward_input__intel16
//@ define:    PASS = 2
//@ when:      FITS && N*H*W < 2147483648 - 128 && O % 4 == 0
//@ about:     implicit GEMM: both factors in two parts on the matrix units of Intel's GPUs with sub-groups of 16
//@ op:        conv.backward_input/1
//@ kernel:    conv_backward_input__emulated
//@ global:    ceildiv(N*ceildiv(H, SH)*ceildiv(W, SW), BM)*ITEMS, ceildiv(C, BN), SH*SW
//@ local:     ITEMS, 1, 1
//@ tune:      LAYOUT = 1 2 3 4 5 6
//@ define:    EMULATED = 1
//@ tune:      BM = 32 64
//@ tune:      BN = 32 64
//@ tune:      SM = 16 32
//@ tune:      SN = 16 32
//@ device:    cpu accelerator
//@ by_name:   emulates the matrix units of GPUs, for tests
//@ define:    NAME = conv_backward_input__emulated
//@ define:    PASS = 2
//@ when:      FITS && N*H*W < 2147483648 - 128
//@ about:     the same with the instructions of a matrix unit emulated lane by lane

/* The kernels are in gpu_conv.clh, which gpu_conv shares; how slices are multiplied is in gpu_matrix.clh. */
