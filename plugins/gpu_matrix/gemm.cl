//@ plugin:    gpu_matrix 1.0.0
//@ abi:       1
//@ include:   macros.clh fours.clh units.clh gpu_slice.clh gpu_matrix.clh gpu_gemm.clh
//@ let:       PARTS = min(ceildiv(K, 256), GROUPS/(ceildiv(M, BM)*ceildiv(N, BN)))
//@ let:       LANES = 32 + 32*(LAYOUT == 4) - 24*(LAYOUT == 5) - 16*(LAYOUT == 6)
//@ let:       ITEMS = (BM/SM)*(BN/SN)*LANES
//@ all:       device: gpu
//@ all:       by_name: no GPU has run it yet
//@ all:       bake: *
//@ all:       registers: SM*SN/LANES*(1 + AHEAD)
//@ all:       tune: AHEAD = 0 1
//@ all:       define: GROUPS = 256
//@ all:       workspace: 1 + M*N*max(1, PARTS)*(PARTS > 1)
//@ all:       when: BM >= SM && BN >= SN && ITEMS <= min(wg, 256) && (BM + BN)*(BK + 8)*4 <= local_bytes && max(M, max(N, K)) < 2147483648 - 128
//@ all:       score: 25
//@ all:       tune: BM = 64 32 128
//@ all:       tune: BK = 32 16
//@ all:       tune: BN = 64 32 128
//@ all:       tune: SM = 32 16 64
//@ all:       tune: SN = 32 16 64
//@ op:        gemm/1
//@ kernel:    gemm__nvidia
//@ global:    ceildiv(M, BM)*ITEMS, ceildiv(N, BN), max(1, PARTS)
//@ local:     ITEMS, 1, 1
//@ kernel:    gemm__add
//@ global:    M*N*(PARTS > 1)
//@ define:    LAYOUT = 1
//@ needs:     matrix_nvidia
//@ define:    NAME = gemm__nvidia
//@ about:     tiles of bf16 in local memory: both factors in two parts, three products on the matrix units of NVIDIA's GPUs from sm_80 on
//@ op:        gemm/1
//@ kernel:    gemm__rdna3
//@ global:    ceildiv(M, BM)*ITEMS, ceildiv(N, BN), max(1, PARTS)
//@ local:     ITEMS, 1, 1
//@ kernel:    gemm__add
//@ global:    M*N*(PARTS > 1)
//@ define:    LAYOUT = 2
//@ needs:     matrix_rdna3
//@ define:    NAME = gemm__rdna3
//@ about:     tiles of bf16 in local memory: both factors in two parts, three products on the matrix units of AMD's RDNA 3
//@ op:        gemm/1
//@ kernel:    gemm__rdna4
//@ global:    ceildiv(M, BM)*ITEMS, ceildiv(N, BN), max(1, PARTS)
//@ local:     ITEMS, 1, 1
//@ kernel:    gemm__add
//@ global:    M*N*(PARTS > 1)
//@ define:    LAYOUT = 3
//@ needs:     matrix_rdna4
//@ define:    NAME = gemm__rdna4
//@ about:     tiles of bf16 in local memory: both factors in two parts, three products on the matrix units of AMD's RDNA 4
//@ op:        gemm/1
//@ kernel:    gemm__cdna
//@ global:    ceildiv(M, BM)*ITEMS, ceildiv(N, BN), max(1, PARTS)
//@ local:     ITEMS, 1, 1
//@ kernel:    gemm__add
//@ global:    M*N*(PARTS > 1)
//@ define:    LAYOUT = 4
//@ needs:     matrix_cdna
//@ define:    NAME = gemm__cdna
//@ about:     tiles of bf16 in local memory: both factors in two parts, three products on the matrix units of AMD's CDNA 2 and later
//@ op:        gemm/1
//@ kernel:    gemm__intel8
//@ global:    ceildiv(M, BM)*ITEMS, ceildiv(N, BN), max(1, PARTS)
//@ local:     ITEMS, 1, 1
//@ kernel:    gemm__add
//@ global:    M*N*(PARTS > 1)
//@ define:    LAYOUT = 5
//@ needs:     matrix_intel8
//@ tune:      BK = 16 32
//@ tune:      SM = 16 32
//@ tune:      SN = 16 32
//@ define:    NAME = gemm__intel8
//@ about:     tiles of bf16 in local memory: both factors in two parts, three products on the matrix units of Intel's GPUs with sub-groups of 8
//@ op:        gemm/1
//@ kernel:    gemm__intel16
//@ global:    ceildiv(M, BM)*ITEMS, ceildiv(N, BN), max(1, PARTS)
//@ local:     ITEMS, 1, 1
//@ kernel:    gemm__add
//@ global:    M*N*(PARTS > 1)
//@ define:    LAYOUT = 6
//@ needs:     matrix_intel16
//@ tune:      SM = 32 16
//@ tune:      SN = 16 32
//@ define:    NAME = gemm__intel16
//@ about:     tiles of bf16 in local memory: both factors in two parts, three products on the matrix units of Intel's GPUs with sub-groups of 16
//@ op:        gemm/1
//@ kernel:    gemm__emulated
//@ global:    ceildiv(M, BM)*ITEMS, ceildiv(N, BN), max(1, PARTS)
//@ local:     ITEMS, 1, 1
//@ kernel:    gemm__add
//@ global:    M*N*(PARTS > 1)
//@ tune:      LAYOUT = 1 2 3 4 5 6
//@ define:    EMULATED = 1
//@ tune:      BM = 32 64
//@ tune:      BN = 32 64
//@ tune:      SM = 16 32
//@ tune:      SN = 16 32
//@ device:    cpu accelerator
//@ by_name:   emulates the matrix units of GPUs, for tests
//@ define:    NAME = gemm__emulated
//@ about:     the same with the instructions of a matrix unit emulated lane by lane

/* The kernels are in gpu_gemm.clh, which gpu_gemm shares; how slices are multiplied is in gpu_matrix.clh. */
