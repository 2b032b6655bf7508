// What a layer puts out at a time step, and the next one reads.
module activations #(
    parameter SIZE = 1, BITS = 1
) (
    input wire clk,
    input wire write,
    input wire [31:0] write_addr,
    input wire [BITS-1:0] write_data,
    input wire [31:0] read_addr,
    output wire [BITS-1:0] read_data
);
    reg [BITS-1:0] kept[0:SIZE-1];
    assign read_data = kept[read_addr];
    always @(posedge clk) if (write) kept[write_addr] <= write_data;
endmodule
