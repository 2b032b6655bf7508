// Feeds one layer with the golden inputs of `spikeport export --hdl`, time step after time step, and compares every
// potential and every output with the golden ones. ./run compiles and runs it for each layer of an export; its parameters
// are those of the manifest. +dir=FOLDER +layer=N +name=TEXT say which.
`timescale 1ns / 1ps
module test_bench;
    parameter POOL = 0, OR = 0;
    parameter H = 1, W = 1, C = 1, HO = 1, WO = 1, O = 1;
    parameter KH = 1, KW = 1, SH = 1, SW = 1, PH = 0, PW = 0, DH = 1, DW = 1;
    parameter IN_BITS = 1, IN_SIGNED = 0, W_BITS = 8, SUM_BITS = 16, U_BITS = 16;
    parameter FRACTION = 0, SHIFT = 1, LEAK = 0, HARD = 0;
    parameter SAMPLES = 1, TIME_STEPS = 1;
    localparam INPUTS = H * W * C, OUTPUTS = HO * WO * O, STEPS = SAMPLES * TIME_STEPS;
    localparam BOUND = POOL ? OUTPUTS * (KH * KW + 1) + 1 : OUTPUTS * (KH * KW * C + 1) + 1;
    localparam OUT_BITS = POOL ? SUM_BITS : 1;

    reg clk = 1'b0, rst = 1'b1, start = 1'b0, first = 1'b0;
    always #5 clk = ~clk;
    reg [IN_BITS-1:0] inputs[0:STEPS*INPUTS-1];
    reg signed [U_BITS-1:0] potentials[0:STEPS*OUTPUTS-1];
    reg [OUT_BITS-1:0] outputs[0:STEPS*OUTPUTS-1];
    string dir, name, file;
    integer layer, step, cycles, compared = 0, most = 0;

    wire [31:0] in_addr, out_addr;
    wire [IN_BITS-1:0] in_data = inputs[step * INPUTS + in_addr];
    wire out_valid, done;
    wire signed [U_BITS-1:0] out_u;
    wire [OUT_BITS-1:0] out;

    generate
        if (POOL) begin : dut
            wire signed [SUM_BITS-1:0] sum;
            assign out = sum, out_u = 0;
            spiking_pool #(.H(H), .W(W), .C(C), .HO(HO), .WO(WO), .KH(KH), .KW(KW), .SH(SH), .SW(SW), .PH(PH), .PW(PW),
                .IN_BITS(IN_BITS), .IN_SIGNED(IN_SIGNED), .SUM_BITS(SUM_BITS), .OR(OR)) pool (
                .clk(clk), .rst(rst), .start(start), .in_addr(in_addr), .in_data(in_data), .out_valid(out_valid),
                .out_addr(out_addr), .out_data(sum), .done(done));
        end else begin : dut
            wire spike;
            assign out = spike;
            spiking_layer #(.H(H), .W(W), .C(C), .HO(HO), .WO(WO), .O(O), .KH(KH), .KW(KW), .SH(SH), .SW(SW), .PH(PH), .PW(PW),
                .DH(DH), .DW(DW), .IN_BITS(IN_BITS), .IN_SIGNED(IN_SIGNED), .W_BITS(W_BITS), .SUM_BITS(SUM_BITS), .U_BITS(U_BITS),
                .FRACTION(FRACTION), .SHIFT(SHIFT), .LEAK(LEAK), .HARD(HARD)) core (
                .clk(clk), .rst(rst), .start(start), .first(first), .in_addr(in_addr), .in_data(in_data),
                .out_valid(out_valid), .out_addr(out_addr), .out_u(out_u), .out_spike(spike), .done(done));
            initial begin
                #1; // after the paths below are known
                $readmemh({file, "_weights.mem"}, core.weights);
                $readmemh({file, "_bias.mem"}, core.bias);
                $readmemh({file, "_threshold.mem"}, core.threshold);
                if (HARD) $readmemh({file, "_reset.mem"}, core.rest);
                $readmemh({file, "_u.mem"}, potentials);
            end
        end
    endgenerate

    // Names what is wrong and ends with exit code 1.
    task wrong(input string what, input integer got, input integer want);
        begin
            $display("layer %0s, sample %0d, time step %0d, neuron %0d (y %0d, x %0d, channel %0d): %0s is %0d, should be %0d",
                name, step / TIME_STEPS + 1, step % TIME_STEPS + 1, out_addr, out_addr / O / WO, out_addr / O % WO, out_addr % O,
                what, got, want);
            $fatal(1, "the design differs from the golden vectors");
        end
    endtask

    always @(posedge clk) if (out_valid) begin : compare
        integer i;
        i = step * OUTPUTS + out_addr;
        if (!POOL && out_u !== potentials[i]) wrong("potential", out_u, potentials[i]);
        if (out !== outputs[i]) wrong(POOL ? "output" : "spike", out, outputs[i]);
        compared = compared + 1;
    end

    initial begin
        if (!$value$plusargs("dir=%s", dir) || !$value$plusargs("layer=%d", layer) || !$value$plusargs("name=%s", name))
            $fatal(1, "+dir=FOLDER +layer=N +name=TEXT are missing");
        file = $sformatf("%0s/layer%0d", dir, layer);
        $readmemh({file, "_in.mem"}, inputs);
        $readmemh({file, "_out.mem"}, outputs);
        step = 0;
        repeat (2) @(negedge clk);
        rst = 1'b0;
        for (step = 0; step < STEPS; step = step + 1) begin
            @(negedge clk);
            start = 1'b1;
            first = step % TIME_STEPS == 0;
            @(negedge clk);
            start = 1'b0;
            cycles = 1;
            while (!done) begin
                @(negedge clk);
                cycles = cycles + 1;
                if (cycles > BOUND) $fatal(1, "layer %0s: more than %0d cycles a time step", name, BOUND);
            end
            @(negedge clk);
            most = cycles > most ? cycles : most;
        end
        if (compared != STEPS * OUTPUTS) $fatal(1, "layer %0s: %0d of %0d outputs appeared", name, compared, STEPS * OUTPUTS);
        $display("layer %0s: %0d outputs match, %0d cycles a time step", name, compared, most);
        $finish;
    end
endmodule
