//@ plugin:    gpu_gemm 1.0.0
//@ abi:       1
//@ include:   macros.clh fours.clh gpu_slice.clh gpu_tile.clh gpu_gemm.clh
//@ let:       PARTS = min(ceildiv(K, 256), GROUPS/(ceildiv(M, BM)*ceildiv(N, BN)))
//@ let:       ITEMS = (BM/TM)*(BN/TN)
//@ op:        gemm/1
//@ kernel:    gemm__tile
//@ global:    ceildiv(M, BM)*ITEMS, ceildiv(N, BN), max(1, PARTS)
//@ local:     ITEMS, 1, 1
//@ kernel:    gemm__add
//@ global:    M*N*(PARTS > 1)
//@ tune:      BM = 64 32 128
//@ tune:      BN = 64 32
//@ tune:      BK = 16 8 32
//@ tune:      TM = 4 8
//@ tune:      AHEAD = 0 1
//@ tune:      TN = 4 8
//@ vendor:    amd TM=8 BM=128
//@ vendor:    nvidia TM=8 BK=32
//@ registers: TM*TN*(1 + AHEAD)
//@ bake:      *
//@ define:    GROUPS = 256
//@ define:    NAME = gemm__tile
//@ workspace: 1 + M*N*max(1, PARTS)*(PARTS > 1)
//@ when:      BM*BN <= min(wg, 256)*TM*TN && (BM + BN + 8)*BK*4 <= local_bytes && max(M, max(N, K)) < 2147483648 - 128
//@ device:    gpu
//@ score:     20
//@ about:     tiles in local memory; a long sum with few results is cut into fixed parts, added in order

/* The kernels are in gpu_gemm.clh, which gpu_matrix shares. CLBlast, tuned for the device, has the higher score: this is for where it is
 * missing. */
