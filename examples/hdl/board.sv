// A board that is simulated: spiking_link, whose bytes come from the file +from=PATH and go to the file +to=PATH, pipes to
// host.c. ./board starts it. It ends with its input.
`timescale 1ns / 1ps
module board;
    parameter INPUTS = 1, IN_BITS = 1, OUTPUTS = 1, U_BITS = 31;
    reg clk = 1'b0, rst = 1'b1, in_valid = 1'b0;
    reg [7:0] in_byte = 0;
    wire in_ready, out_valid;
    wire [7:0] out_byte;
    reg [31:0] word;
    integer from, to, code, bytes = 0;
    string path;
    always #5 clk = ~clk;

    spiking_link #(.INPUTS(INPUTS), .IN_BITS(IN_BITS), .OUTPUTS(OUTPUTS), .U_BITS(U_BITS)) link (.clk(clk), .rst(rst), .in_valid(in_valid),
        .in_byte(in_byte), .in_ready(in_ready), .out_valid(out_valid), .out_byte(out_byte), .out_ready(1'b1));

    initial begin
        if (!$value$plusargs("from=%s", path)) $fatal(1, "+from=PATH is missing");
        from = $fopen(path, "rb");
        if (!$value$plusargs("to=%s", path)) $fatal(1, "+to=PATH is missing");
        to = $fopen(path, "wb");
        repeat (2) @(negedge clk);
        rst = 1'b0;
        forever begin
            @(negedge clk);
            in_valid = in_ready; // waits for a byte, but never with outputs to send
            if (in_ready) begin
                code = $fgetc(from);
                if (code < 0) $finish;
                in_byte = code;
            end
        end
    end

    always @(posedge clk) if (out_valid && !rst) begin
        word = {out_byte, word[31:8]};
        bytes = bytes + 1;
        if (bytes % 4 == 0) $fwrite(to, "%u", word);
        if (bytes % (4 * OUTPUTS) == 0) $fflush(to);
    end
endmodule
