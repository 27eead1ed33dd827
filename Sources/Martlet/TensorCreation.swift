// Tensors from nothing. A shape with a negative size, or one that no memory holds, stops the process as
// `Array(repeating:count:)` does; `TensorType(dtype, shape).checkedByteCount()` tells of sizes that come from outside.

extension Tensor {
    /// 0 everywhere.
    public static func zeros(_ shape: [Int], dtype: DataType = .float32) -> Tensor { full(shape, 0, dtype: dtype) }

    /// 1 everywhere.
    public static func ones(_ shape: [Int], dtype: DataType = .float32) -> Tensor { full(shape, 1, dtype: dtype) }

    /// One value everywhere, rounded to the element type; for integer types it is held in range.
    public static func full(_ shape: [Int], _ value: Double, dtype: DataType = .float32) -> Tensor {
        made {
            let (result, element) = (try Tensor(uninitialized: TensorType(dtype, shape)), try number(value, dtype))
            result.repeat(element)
            return result
        }
    }

    /// The matrix of shape [rows, columns] with 1 on the diagonal and 0 elsewhere; square where `columns` is left out.
    public static func eye(_ rows: Int, _ columns: Int? = nil, dtype: DataType = .float32) -> Tensor {
        let columns = columns ?? rows
        return made {
            let (result, one) = (zeros([rows, columns], dtype: dtype), try number(1, dtype))
            withExtendedLifetime((result, one)) {
                for index in 0..<Swift.min(rows, columns) {
                    let place = result.pointer + (index * columns + index) * dtype.size
                    place.copyMemory(from: one.pointer, byteCount: dtype.size)
                }
            }
            return result
        }
    }

    /// The integers from 0 up to an end, which is excluded: int32, or int64 if they do not fit.
    public static func arange(_ end: Int) -> Tensor { arange(0, end) }

    /// The integers from a start in steps other than 0, before the end: int32, or int64 if they do not fit.
    public static func arange(_ start: Int, _ end: Int, step: Int = 1) -> Tensor {
        let numbers = Array(stride(from: start, to: end, by: step))
        let bounds = [numbers.first ?? 0, numbers.last ?? 0]
        let areShort = bounds.allSatisfy { Int32(exactly: $0) != nil }
        return areShort ? Tensor(numbers.map { Int32($0) }) : Tensor(numbers.map { Int64($0) })
    }

    /// The numbers from a start in steps other than 0, before the end, as fp32.
    public static func arange(_ start: Double, _ end: Double, step: Double = 1) -> Tensor {
        Tensor(stride(from: start, to: end, by: step).map { Float($0) })
    }

    /// Random numbers spread evenly from `low` up to `high`, itself left out, of a floating-point type. The same seed
    /// gives the same numbers on one device; without one they differ from call to call.
    public static func rand(
        _ shape: [Int], from low: Double = 0, to high: Double = 1, seed: UInt64? = nil, dtype: DataType = .float32
    ) -> Tensor {
        drawn("random_uniform", shape, ["low": low, "high": high], seed, dtype)
    }

    /// Random numbers from the normal distribution, likewise.
    public static func randn(
        _ shape: [Int], mean: Double = 0, deviation: Double = 1, seed: UInt64? = nil, dtype: DataType = .float32
    ) -> Tensor {
        drawn("random_normal", shape, ["mean": mean, "stddev": deviation], seed, dtype)
    }

    private static func drawn(
        _ op: String, _ shape: [Int], _ parameters: KeyValuePairs<String, Double>, _ seed: UInt64?, _ dtype: DataType
    ) -> Tensor {
        made {
            // The op's -1 stands for any seed, so seeds have 63 bits.
            let seed = seed.map { Constant(Int($0 & (.max >> 1))) }
            let (first, second) = (parameters[0], parameters[1])
            return try eager(
                op, [:],
                [
                    "shape": Constant(shape), first.key: Constant(number(first.value, dtype)),
                    second.key: Constant(number(second.value, dtype)), "seed": seed,
                ])
        }
    }

    private static func made(_ make: () throws -> Tensor) -> Tensor {
        do { return try make() } catch { preconditionFailure("\(error)") }
    }

    /// One number of an element type.
    private static func number(_ value: Double, _ dtype: DataType) throws -> Tensor {
        dtype.isComplex ? Tensor([value], dtype: dtype, shape: []) : try Tensor(value).converted(to: dtype)
    }

    /// Writes one element everywhere, by copying what is written already.
    private func `repeat`(_ element: Tensor) {
        guard count > 0 else { return }
        withExtendedLifetime((self, element)) {
            pointer.copyMemory(from: element.pointer, byteCount: dtype.size)
            var filled = dtype.size
            while filled < type.byteCount {
                let more = Swift.min(filled, type.byteCount - filled)
                (pointer + filled).copyMemory(from: pointer, byteCount: more)
                filled += more
            }
        }
    }
}
