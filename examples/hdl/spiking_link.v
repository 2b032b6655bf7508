// Between a stream of bytes (a UART, a FIFO) and the network; host.c is the other end. In, for each time step: a byte, 1 at
// the first time step of a sample, else 0; then the inputs [h][w][c], each in as many bytes as it needs, the lowest first.
// Out, for each time step: the potentials of the last layer, four bytes each, the lowest first. A byte is taken where valid
// and ready are both 1.
module spiking_link #(
    parameter INPUTS = 1, IN_BITS = 1, OUTPUTS = 1, U_BITS = 31
) (
    input wire clk,
    input wire rst,
    input wire in_valid,
    input wire [7:0] in_byte,
    output wire in_ready,
    output wire out_valid,
    output wire [7:0] out_byte,
    input wire out_ready
);
    localparam BYTES = (IN_BITS + 7) / 8;
    localparam HEAD = 2'd0, FILL = 2'd1, RUN = 2'd2, SEND = 2'd3;
    reg [IN_BITS-1:0] inputs[0:INPUTS-1];
    reg signed [31:0] results[0:OUTPUTS-1];
    reg [1:0] state;
    reg start, first;
    reg [1:0] part; // bytes of a number
    reg [31:0] at;  // numbers
    reg [8*BYTES-1:0] held;
    wire [8*BYTES+7:0] number = {in_byte, held};
    wire done, valid;
    wire [31:0] in_addr, addr;
    wire signed [U_BITS-1:0] u;

    spiking_network network (.clk(clk), .rst(rst), .start(start), .first(first), .in_addr(in_addr), .in_data(inputs[in_addr]),
        .done(done), .out_valid(valid), .out_addr(addr), .out_u(u));
    assign in_ready = state == HEAD || state == FILL;
    assign out_valid = state == SEND;
    assign out_byte = results[at] >> {part, 3'b0};

    always @(posedge clk) begin
        start <= 1'b0;
        if (valid) results[addr] <= u;
        if (rst) begin
            state <= HEAD;
        end else case (state)
            HEAD: if (in_valid) begin
                first <= in_byte[0];
                {part, at} <= 0;
                state <= FILL;
            end
            FILL: if (in_valid) begin
                held <= number >> 8;
                part <= part + 1'b1;
                if (part == BYTES - 1) begin
                    part <= 0;
                    inputs[at] <= number >> 8;
                    at <= at + 1;
                    if (at == INPUTS - 1) begin
                        start <= 1'b1;
                        state <= RUN;
                    end
                end
            end
            RUN: if (done) begin
                {part, at} <= 0;
                state <= SEND;
            end
            SEND: if (out_ready) begin
                part <= part + 1'b1;
                if (part == 2'd3) begin
                    at <= at + 1;
                    if (at == OUTPUTS - 1) state <= HEAD;
                end
            end
        endcase
    end
endmodule
