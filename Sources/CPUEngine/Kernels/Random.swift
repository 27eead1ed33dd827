import CKernels
import MIL

// Random numbers: the same at every run where a seed is given, others at every run where it is -1.

extension CPUKernels {
    static let random: [Kernel] = [
        Kernel(name: "random_uniform") { call, lowerer, _ in
            let (low, high) = (try call.float("low"), try call.float("high"))
            if call.constant("low")?.dtype == .float64 {
                let (low, high) = (try call.known("low").double(at: 0), try call.known("high").double(at: 0))
                return try wide(call, lowerer, "evenly spread") { mk_random_uniform_wide($0, low, high, $1, $2) }
            }
            // Steps that fp16 can say leave the upper bound out after rounding, too.
            let bits: Int32 = call.constant("low")?.dtype == .float16 ? 11 : 24
            try numbers(call, lowerer, "evenly spread") { seed, count, target in
                mk_random_uniform(seed, bits, low, high, count, target)
            }
        },
        Kernel(name: "random_normal") { call, lowerer, _ in
            let (mean, deviation) = (try call.float("mean"), try call.float("stddev"))
            if call.constant("mean")?.dtype == .float64 {
                let (mean, deviation) = (try call.known("mean").double(at: 0), try call.known("stddev").double(at: 0))
                return try wide(call, lowerer, "two numbers from a point in the plane") {
                    mk_random_normal_wide($0, mean, deviation, $1, $2)
                }
            }
            try numbers(call, lowerer, "two numbers from a point in the plane") { seed, count, target in
                mk_random_normal(seed, mean, deviation, count, target)
            }
        },
        Kernel(name: "random_categorical", dtypes: lanes) { call, lowerer, _ in
            let x = try lowerer.numbers("x", call)
            let output = lowerer.allocate(try lowerer.function.tensorType(call.operation.outputs[0]).shape, .float32)
            lowerer.define(call.operation.outputs[0], output)
            let (logits, size) = (try call.text("mode") == "logits", try call.int("size"))
            let (rows, categories) = (x.shape.dropLast().reduce(1, *), x.shape[x.rank - 1])
            let seed = try seed(call)
            lowerer.emit(call, kernel: "random", reason: "drawn by running sums", reads: [x], writes: [output]) {
                frame in
                mk_random_categorical(
                    seed(), logits ? 1 : 0, Int64(rows), Int64(categories), Int64(size), frame.floats(x),
                    frame.floats(output))
            }
        },
    ]

    private static func numbers(
        _ call: Call, _ lowerer: Lowerer, _ reason: String,
        draw: @escaping @Sendable (_ seed: UInt64, _ count: Int64, _ target: UnsafeMutablePointer<Float>) -> Void
    ) throws {
        let type = try lowerer.function.tensorType(call.operation.outputs[0])
        let numbers = lowerer.allocate(type.shape, .float32)
        let seed = try seed(call)
        lowerer.emit(call, kernel: "random", reason: reason, reads: [], writes: [numbers]) {
            draw(seed(), Int64(numbers.count), $0.floats(numbers))
        }
        lowerer.define(call.operation.outputs[0], try lowerer.converted(numbers, to: type.dtype, for: call))
    }

    /// The same in fp64.
    private static func wide(
        _ call: Call, _ lowerer: Lowerer, _ reason: String,
        draw: @escaping @Sendable (_ seed: UInt64, _ count: Int64, _ target: UnsafeMutablePointer<Double>) -> Void
    ) throws {
        let id = call.operation.outputs[0]
        let numbers = lowerer.allocate(try lowerer.function.tensorType(id).shape, .float64)
        let seed = try seed(call)
        lowerer.define(id, numbers)
        lowerer.emit(call, kernel: "random", reason: reason, reads: [], writes: [numbers]) {
            draw(seed(), Int64(numbers.count), $0[numbers].assumingMemoryBound(to: Double.self))
        }
    }

    private static func seed(_ call: Call) throws -> @Sendable () -> UInt64 {
        let seed = try call.int("seed")
        return { seed == -1 ? UInt64.random(in: .min ... .max) : UInt64(bitPattern: Int64(seed)) }
    }
}
