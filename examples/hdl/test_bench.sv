// Feeds the network with the golden inputs of `spikeport export --hdl`, time step after time step, and compares every
// potential and every output of every layer with the golden ones. ./run writes spiking_network and checks for an export,
// compiles and runs; memories are read from the folder in which it starts.
`timescale 1ns / 1ps

// Compares a layer. The first difference is named and ends the simulation with exit code 1.
module golden #(
    parameter LAYER = 0, NAME = "", NEURONS = 1, BITS = 1, U_BITS = 1, OUTPUTS = 1, WO = 1, O = 1, TAPS = 1,
    parameter SAMPLES = 1, TIME_STEPS = 1
) (
    input wire clk, input wire ended, input wire [31:0] step,
    input wire start, input wire done, input wire valid, input wire [31:0] addr,
    input wire [BITS-1:0] data, input wire signed [U_BITS-1:0] u
);
    localparam ALL = SAMPLES * TIME_STEPS * OUTPUTS, BOUND = OUTPUTS * (TAPS + 1) + 1;
    reg signed [U_BITS-1:0] potentials[0:ALL-1];
    reg [BITS-1:0] outputs[0:ALL-1];
    integer compared = 0, cycles = 0, most = 0;

    initial begin
        if (NEURONS) $readmemh($sformatf("layer%0d_u.mem", LAYER), potentials);
        $readmemh($sformatf("layer%0d_out.mem", LAYER), outputs);
    end

    task wrong(input string what, input integer got, input integer want);
        begin
            $display("layer %0s, sample %0d, time step %0d, neuron %0d (y %0d, x %0d, channel %0d): %0s is %0d, should be %0d",
                NAME, step / TIME_STEPS + 1, step % TIME_STEPS + 1, addr, addr / O / WO, addr / O % WO, addr % O, what, got, want);
            $fatal(1, "the design differs from the golden vectors");
        end
    endtask

    always @(posedge clk) begin
        cycles = start ? 0 : cycles + 1;
        if (done && cycles > most) most = cycles;
        if (valid) begin
            if (NEURONS && u !== potentials[step * OUTPUTS + addr]) wrong("potential", u, potentials[step * OUTPUTS + addr]);
            if (data !== outputs[step * OUTPUTS + addr]) wrong(NEURONS ? "spike" : "output", data, outputs[step * OUTPUTS + addr]);
            compared = compared + 1;
        end
    end

    always @(posedge ended) begin
        #(LAYER + 1); // one after the other
        if (compared != ALL) $fatal(1, "layer %0s: %0d of %0d outputs appeared", NAME, compared, ALL);
        if (most > BOUND) $fatal(1, "layer %0s: %0d cycles a time step, more than %0d", NAME, most, BOUND);
        $display("layer %0s: %0d outputs match, %0d cycles a time step", NAME, compared, most);
    end
endmodule

module test_bench;
    parameter H = 1, W = 1, C = 1, IN_BITS = 1, LAYER = 0; // of the first layer
    parameter SAMPLES = 1, TIME_STEPS = 1;
    localparam INPUTS = H * W * C, STEPS = SAMPLES * TIME_STEPS;

    reg clk = 1'b0, rst = 1'b1, start = 1'b0, first = 1'b0, ended = 1'b0;
    always #5 clk = ~clk;
    reg [IN_BITS-1:0] inputs[0:STEPS*INPUTS-1];
    reg [31:0] step = 0;
    wire done;
    wire [31:0] in_addr;
    wire [IN_BITS-1:0] in_data = inputs[step * INPUTS + in_addr];

    spiking_network network (.clk(clk), .rst(rst), .start(start), .first(first), .in_addr(in_addr), .in_data(in_data),
        .done(done), .out_valid(), .out_addr(), .out_u());
    checks checks (.clk(clk), .ended(ended), .step(step));

    initial begin
        $readmemh($sformatf("layer%0d_in.mem", LAYER), inputs);
        repeat (2) @(negedge clk);
        rst = 1'b0;
        for (step = 0; step < STEPS; step = step + 1) begin
            @(negedge clk);
            start = 1'b1;
            first = step % TIME_STEPS == 0;
            @(negedge clk);
            start = 1'b0;
            while (!done) @(negedge clk);
            @(negedge clk);
        end
        ended = 1'b1;
        #100000 $finish;
    end
endmodule
