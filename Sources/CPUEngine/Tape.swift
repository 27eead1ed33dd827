import CKernels
import MIL

/// Builds the instructions of a fused chain of elementwise operations.
struct Tape {
    /// What a cell returns and takes: a register.
    typealias Register = Int32

    /// How one op becomes instructions.
    typealias Cell = @Sendable (inout Tape, Call) throws -> Register

    private let lowerer: Lowerer
    private let shape: [Int]
    private var code: [mk_instruction] = []
    private(set) var leaves: [View] = []
    private var registers: [ValueID: Register] = [:]
    private var results: Int32 = 0

    init(shape: [Int], lowerer: Lowerer) {
        self.shape = shape
        self.lowerer = lowerer
    }

    // Leaves are registers 0 ..< leaves.count; results get provisional numbers from here on, and registers at the end.
    private static let firstResult: Register = 1000

    private mutating func next() -> Register {
        results += 1
        return Tape.firstResult + results - 1
    }

    /// The register of a parameter's value.
    mutating func operand(_ call: Call, _ name: String) throws -> Register {
        let id = try call.id(name)
        if let register = registers[id] { return register }
        let register = try leaf(lowerer.view(id))
        registers[id] = register
        return register
    }

    /// A further input, broadcast to the tape's shape.
    mutating func leaf(_ view: View) throws -> Register {
        guard leaves.count < MK_TAPE_INPUTS else { throw Failure(.bug, "A fused chain has too many inputs.") }
        leaves.append(view.broadcast(to: shape))
        return Int32(leaves.count - 1)
    }

    /// A vector along one axis, as for one value a channel.
    mutating func channels(_ tensor: Tensor, axis: Int = 1) throws -> Register {
        try channels(lowerer.constant(lowerer.widened(tensor)), axis: axis)
    }

    func view(of id: ValueID) throws -> View { try lowerer.view(id) }

    mutating func channels(_ vector: View, axis: Int = 1) throws -> Register {
        try leaf(vector.inserting(Array(1..<(shape.count - axis)), rank: shape.count - axis))
    }

    mutating func emit(
        _ opcode: mk_opcode, _ a: Register, _ b: Register = 0, _ c: Register = 0, p: Float = 0, q: Float = 0
    ) throws -> Register {
        let out = next()
        code.append(mk_instruction(opcode: Int32(opcode.rawValue), out: out, a: a, b: b, c: c, p: p, q: q))
        return out
    }

    /// Adds one operation's instructions; its result gets a register.
    mutating func append(_ call: Call) throws {
        guard let cell = Tape.cells[call.op.name] else { throw Failure(.bug, "'\(call.op.name)' is not elementwise.") }
        let id = call.operation.outputs[0]
        var register = try cell(&self, call)
        if lowerer.rounded.contains(id) { register = try emit(MK_ROUND_HALF, register) }
        registers[id] = register
    }

    /// The finished tape for a result in `output`.
    func finished(output: View, register id: ValueID) throws -> PreparedTape {
        guard var result = registers[id] else { throw Failure(.bug, "A fused chain has no result.") }
        var code = code
        if result < Tape.firstResult {
            // The result is an input as it is: copy it, so that it is written at all.
            code.append(
                mk_instruction(
                    opcode: Int32(MK_COPY.rawValue), out: Tape.firstResult + results, a: result, b: 0, c: 0, p: 0, q: 0)
            )
            result = Tape.firstResult + results
        }
        // Results take registers of others that are not read any more.
        var lastRead: [Register: Int] = [result: code.count]
        for (index, instruction) in code.enumerated() {
            for operand in [instruction.a, instruction.b, instruction.c] where operand >= Tape.firstResult {
                lastRead[operand] = max(index, lastRead[operand] ?? 0)
            }
        }
        var free = Array((Int32(leaves.count)..<Int32(MK_TAPE_REGISTERS)).reversed())
        var place: [Register: Register] = [:]
        // The last result is written straight to its memory, which may be an operand's: its register holds nothing before.
        let last = free.popLast()
        for index in code.indices {
            let operands = Set([code[index].a, code[index].b, code[index].c].filter { $0 >= Tape.firstResult })
            code[index].a = place[code[index].a] ?? code[index].a
            code[index].b = place[code[index].b] ?? code[index].b
            code[index].c = place[code[index].c] ?? code[index].c
            guard let register = index == code.count - 1 ? last : free.popLast() else {
                throw Failure(.bug, "A fused chain needs too many registers.")
            }
            place[code[index].out] = register
            code[index].out = register
            for operand in operands where lastRead[operand] == index { free.append(place[operand]!) }
        }
        return try PreparedTape(shape: shape, leaves: leaves, code: code, result: place[result]!, output: output)
    }
}

/// A tape ready to run, with the memory of its C structure.
final class PreparedTape: @unchecked Sendable {
    private let tape: UnsafeMutablePointer<mk_tape>
    private let leaves: [View.Address]
    private let output: View.Address

    init(shape: [Int], leaves: [View], code: [mk_instruction], result: Int32, output: View) throws {
        self.leaves = leaves.map(\.address)
        self.output = output.address
        tape = .allocate(capacity: 1)
        tape.initialize(to: mk_tape())
        // Walk in the order of the result's memory, so that it is written from end to end.
        let order = output.memoryOrder
        guard order.count <= MK_TAPE_RANK else {
            throw Failure(
                .unsupported, "A tensor of rank \(order.count) is more than the elementwise kernels take (8).")
        }
        guard code.count <= MK_TAPE_INSTRUCTIONS else { throw Failure(.bug, "A fused chain is too long.") }
        tape.pointee.rank = Int32(order.count)
        tape.pointee.inputs = Int32(leaves.count)
        tape.pointee.outputs = 1
        tape.pointee.instructions = Int32(code.count)
        tape.fill(\.shape, order.map { Int64(shape[$0]) })
        for (index, leaf) in leaves.enumerated() {
            tape.fill(\.input_dtype, at: index, [Int32(try leaf.dtype.code.rawValue)])
            tape.fill(\.input_strides, at: index * MK_TAPE_RANK, order.map { Int64(leaf.strides[$0]) })
        }
        tape.fill(\.output_dtype, [Int32(try output.dtype.code.rawValue)])
        tape.fill(\.output_register, [result])
        tape.fill(\.output_strides, order.map { Int64(output.strides[$0]) })
        tape.fill(\.code, code)
        guard mk_tape_collapse(tape) == 0 else { throw Failure(.bug, "A fused chain is outside the kernel's limits.") }
    }

    deinit { tape.deallocate() }

    func run(_ frame: Frame) {
        withUnsafeTemporaryAllocation(of: UnsafeRawPointer?.self, capacity: MK_TAPE_INPUTS) { inputs in
            for index in leaves.indices { inputs[index] = UnsafeRawPointer(frame[leaves[index]]) }
            var result: UnsafeMutableRawPointer? = frame[output]
            mk_tape_run(tape, inputs.baseAddress, &result)
        }
    }
}

extension DataType {
    /// The kernels' code of an element type.
    var code: mk_dtype {
        get throws {
            switch self {
            case .float32: MK_FP32
            case .float16: MK_FP16
            case .int32: MK_INT32
            case .bool: MK_BOOL
            case .int8: MK_INT8
            case .uint8: MK_UINT8
            case .int16: MK_INT16
            case .uint16: MK_UINT16
            default: throw Failure(.unsupported, "The CPU engine has no kernels for \(name) here.")
            }
        }
    }

    /// Whether the kernels hold it in integer lanes.
    var isWhole: Bool { self == .bool || isInteger }
}
