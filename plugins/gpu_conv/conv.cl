//@ plugin: gpu_conv 1.0.0
//@ abi:    1
//@ include: macros.clh fours.clh gpu_slice.clh gpu_tile.clh gpu_conv_rows.clh gpu_conv_spikes.clh gpu_conv_floats.clh gpu_conv.clh
//@ let:    GROUP_FITS = BM*BN <= min(wg, 256)*TM*TN && (BM + BN + 8)*BK*4 + BM*21 <= local_bytes
//@ let:    ITEMS = (BM/TM)*(BN/TN)
//@ all:    device: gpu
//@ all:    bake: *
//@ all:    registers: TM*TN*(1 + AHEAD)
//@ op:     conv.forward/1
//@ kernel: conv_forward__tile
//@ global: ceildiv(N*HO*WO, BM)*ITEMS, ceildiv(O, BN)
//@ local:  ITEMS, 1
//@ tune:   BM = 64 32 128
//@ tune:   BN = 64 32
//@ tune:   BK = 16 32
//@ tune:   TM = 4 8
//@ tune:   AHEAD = 0 1
//@ tune:   TN = 4 8
//@ vendor: amd TM=8 BM=128
//@ vendor: nvidia TM=8 BK=32
//@ define: PASS = 1
//@ define: NAME = conv_forward__tile
//@ when:   GROUP_FITS && N*HO*WO < 2147483648 - 128
//@ score:  40
//@ about:  implicit GEMM in local memory: no patches in memory; slices of the sum without a spike are skipped
//@ op:     conv.forward/1
//@ kernel: conv_forward__narrow
//@ global: ceildiv(N*HO*WO, BM)*ITEMS, ceildiv(O, BN)
//@ local:  ITEMS, 1
//@ tune:   BM = 128 64
//@ tune:   BK = 16 8 32
//@ tune:   TM = 4 8
//@ tune:   AHEAD = 0 1
//@ vendor: amd TM=8 BM=64 BK=8
//@ vendor: nvidia TM=8
//@ define: BN = 32
//@ define: TN = 4
//@ define: PASS = 1
//@ define: NAME = conv_forward__narrow
//@ when:   O <= 32 && GROUP_FITS && N*HO*WO < 2147483648 - 128
//@ score:  45
//@ about:  the same with tiles for few output channels
//@ op:     conv.backward_input/1
//@ kernel: conv_backward_input__tile
//@ global: ceildiv(N*ceildiv(H, SH)*ceildiv(W, SW), BM)*ITEMS, ceildiv(C, BN), SH*SW
//@ local:  ITEMS, 1, 1
//@ tune:   BM = 64 32 128
//@ tune:   BN = 64 32
//@ tune:   BK = 16 32
//@ tune:   TM = 4 8
//@ tune:   AHEAD = 0 1
//@ tune:   TN = 4 8
//@ vendor: amd TM=8 BM=128
//@ vendor: nvidia TM=8 BK=32
//@ define: PASS = 2
//@ define: NAME = conv_backward_input__tile
//@ when:   GROUP_FITS && N*H*W < 2147483648 - 128
//@ score:  40
//@ about:  implicit GEMM; with a stride each group has pixels of one remainder, so that no product with nothing is made

/* The kernels are in gpu_conv.clh, which gpu_matrix shares. */
