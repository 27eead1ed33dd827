import Martlet
import Testing

/// Expected values are NumPy's and PyTorch's for the same numbers.
@Suite struct TensorOperatorsTests {
    let a = Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3])
    let x = Tensor([-2, -0.5, 0, 0.5, 1, 3] as [Float], shape: [2, 3])

    private func check(_ found: Tensor, _ shape: [Int], _ expected: [Float], within error: Float = 0) {
        #expect(found.shape == shape)
        guard found.dtype == .float32, found.count == expected.count else {
            Issue.record("\(found.type) is not fp32 of \(expected.count) elements")
            return
        }
        for (one, other) in zip(found.array(of: Float.self), expected) {
            #expect(one == other || abs(one - other) <= error * max(1, abs(other)), "\(one) is not \(other)")
        }
    }

    private func failure(_ body: () throws -> Tensor) -> Failure? {
        do { _ = try body() } catch { return error as? Failure }
        return nil
    }

    @Test func arithmeticBroadcasts() throws {
        let row = Tensor([10, 20, 30] as [Float])
        let column = Tensor([1, 2] as [Float], shape: [2, 1])
        check(try a + row, [2, 3], [11, 22, 33, 14, 25, 36])
        check(try row - a, [2, 3], [9, 18, 27, 6, 15, 24])
        check(try a * column, [2, 3], [1, 2, 3, 8, 10, 12])
        check(try column / a, [2, 3], [1, 0.5, 1 / 3, 0.5, 0.4, 1 / 3], within: 1e-6)
        check(try row + column, [2, 3], [11, 21, 31, 12, 22, 32])
        check(try -a, [2, 3], [-1, -2, -3, -4, -5, -6])
        check(try a.pow(2), [2, 3], [1, 4, 9, 16, 25, 36])
        check(try x.maximum(0.25), [2, 3], [0.25, 0.25, 0.25, 0.5, 1, 3])
        check(try x.minimum(a), [2, 3], [-2, -0.5, 0, 0.5, 1, 3])
    }

    @Test func numbersTakeTheTensorsType() throws {
        check(try a + 1, [2, 3], [2, 3, 4, 5, 6, 7])
        check(try 1 - a, [2, 3], [0, -1, -2, -3, -4, -5])
        check(try 0.5 * a, [2, 3], [0.5, 1, 1.5, 2, 2.5, 3])
        let whole = Tensor([7, -7, 2] as [Int32])
        #expect(try (whole + 2).array(of: Int32.self) == [9, -5, 4])
        check(try whole / 2, [3], [3.5, -3.5, 1])
        check(try whole + 1.5, [3], [8.5, -5.5, 3.5])
        #expect(try (Tensor([1.0, 2.0]) * 3).array(of: Double.self) == [3, 6])
        #expect(try (Tensor.ones([1], dtype: .float16) * 1.5).dtype == .float16)
        #expect(try (2.0 - Tensor.ones([1], dtype: .complex64)).dtype == .complex64)
        #expect(try (Tensor([true, false]) + 2).array(of: Int32.self) == [3, 2])
        #expect(failure { try Tensor([1] as [UInt8]) + 300 }?.kind == .outOfRange)
        // Two tensors: by promotion.
        #expect(try (Tensor([1] as [UInt8]) + Tensor([-1] as [Int8])).dtype == .int16)
    }

    @Test func comparisonsGiveTruthValues() throws {
        #expect(try x.greater(0).array(of: Bool.self) == [false, false, false, true, true, true])
        #expect(try x.lessEqual(x).array(of: Bool.self) == [Bool](repeating: true, count: 6))
        #expect(try a.equal(3).array(of: Bool.self) == [false, false, true, false, false, false])
        #expect(try a.notEqual(3).array(of: Bool.self) == [true, true, false, true, true, true])
        #expect(try a.less(3).array(of: Bool.self) == [true, true, false, false, false, false])
        #expect(try a.greaterEqual(5).array(of: Bool.self) == [false, false, false, false, true, true])
    }

    @Test func products() throws {
        let b = Tensor([1, 0, 2, 1, 0, -1] as [Float], shape: [3, 2])
        check(try a.matmul(b), [2, 2], [5, -1, 14, -1])
        check(try a.matmul(Tensor([1, 1, 1] as [Float])), [2], [6, 15])
        let wrong = failure { try a.matmul(a) }
        #expect(wrong?.kind == .invalidArgument)
        #expect(wrong?.message.contains("[2, 3] and [2, 3]") == true)
    }

    @Test func functions() throws {
        check(try x.relu(), [2, 3], [0, 0, 0, 0.5, 1, 3])
        check(try x.gelu(), [2, 3], [-0.04550028, -0.15426877, 0, 0.34573123, 0.8413447, 2.9959497], within: 1e-6)
        check(try x.sigmoid(), [2, 3], [0.11920292, 0.37754068, 0.5, 0.62245935, 0.7310586, 0.9525741], within: 1e-6)
        check(try x.silu(), [2, 3], [-0.23840584, -0.18877034, 0, 0.3112297, 0.7310586, 2.8577225], within: 1e-6)
        check(try x.tanh(), [2, 3], [-0.9640276, -0.46211717, 0, 0.46211717, 0.7615942, 0.9950548], within: 1e-6)
        check(
            try x.softmax(), [2, 3], [0.07769559, 0.34820744, 0.57409704, 0.06742536, 0.11116561, 0.8214089],
            within: 1e-6)
        check(
            try x.softmax(axis: 0), [2, 3], [0.07585818, 0.18242551, 0.04742587, 0.92414182, 0.81757444, 0.95257413],
            within: 1e-6)
        check(try x.exp(), [2, 3], [0.13533528, 0.60653067, 1, 1.6487213, 2.7182817, 20.085537], within: 1e-6)
        check(try x.erf(), [2, 3], [-0.9953223, -0.5204999, 0, 0.5204999, 0.8427008, 0.9999779], within: 1e-6)
        check(try x.sin(), [2, 3], [-0.9092974, -0.47942555, 0, 0.47942555, 0.84147096, 0.14112], within: 1e-6)
        check(try x.cos(), [2, 3], [-0.41614684, 0.87758255, 1, 0.87758255, 0.5403023, -0.9899925], within: 1e-6)
        check(
            try x.abs().log(), [2, 3], [0.6931472, -0.6931472, -.infinity, -0.6931472, 0, 1.0986123], within: 1e-6)
        check(try x.abs().sqrt(), [2, 3], [1.4142135, 0.70710677, 0, 0.70710677, 1, 1.7320508], within: 1e-6)
        check(try x.square(), [2, 3], [4, 0.25, 0, 0.25, 1, 9])
        check(try x.round(), [2, 3], [-2, 0, 0, 0, 1, 3])
        check(try x.floor(), [2, 3], [-2, -1, 0, 0, 1, 3])
        check(try x.ceil(), [2, 3], [-2, 0, 0, 1, 1, 3])
        #expect(try x.cast(to: .int32).array(of: Int32.self) == [-2, 0, 0, 0, 1, 3])
    }

    @Test func reductions() throws {
        check(try a.sum(), [], [21])
        check(try a.sum(axes: [0]), [3], [5, 7, 9])
        check(try a.sum(axes: []), [2, 3], [1, 2, 3, 4, 5, 6])
        check(try a.mean(axes: [-1], keepDims: true), [2, 1], [2, 5])
        check(try x.max(axes: [0]), [3], [0.5, 1, 3])
        check(try x.min(), [], [-2])
        #expect(try x.argmax().array(of: Int32.self) == [2, 2])
        #expect(try Tensor([200, 100] as [UInt8]).sum().array(of: UInt32.self) == [300])
        #expect(try Tensor([true, true, false]).sum().array(of: Int32.self) == [2])
        check(try Tensor([1, 2] as [Int32]).mean(), [], [1.5])
        #expect(failure { try a.sum(axes: [2]) }?.kind == .outOfRange)
    }

    @Test func shapes() throws {
        check(try a.reshape([3, -1]), [3, 2], [1, 2, 3, 4, 5, 6])
        #expect(try a.reshape([-1]).storage === a.storage)
        check(try a.transposed(), [3, 2], [1, 4, 2, 5, 3, 6])
        check(try a.reshape([1, 2, 3]).transposed([1, 0, 2]), [2, 1, 3], [1, 2, 3, 4, 5, 6])
        check(try Tensor.concat([a, x], axis: 1), [2, 6], [1, 2, 3, -2, -0.5, 0, 4, 5, 6, 0.5, 1, 3])
        for wrong in [[4, 2], [4, -1], [-1, -1], [-2, -3], [0, -1], [Int.max, 2, -1], [1 << 40, 1 << 40]] {
            #expect(failure { try a.reshape(wrong) }?.message.contains("[2, 3]") == true, "\(wrong)")
        }
        #expect(try Tensor.zeros([0, 4]).reshape([2, 0]).shape == [2, 0])
        #expect(failure { try Tensor.concat([]) }?.kind == .invalidArgument)
    }

    @Test func whatDoesNotFitNamesBothShapes() {
        let message = failure { try a + Tensor([1, 2, 3, 4] as [Float]) }?.message ?? ""
        #expect(message.contains("[2, 3]") && message.contains("[4]"))
        #expect(failure { try a + Tensor("text") }?.kind == .wrongType)
    }

    @Test func everyOpIsOneCallAway() throws {
        check(try eager("leaky_relu", ["x": x], ["alpha": 0.5]), [2, 3], [-1, -0.25, 0, 0.5, 1, 3])
        // An integer where the op takes floating point.
        check(try eager("leaky_relu", ["x": x], ["alpha": 2]), [2, 3], [-4, -1, 0, 0.5, 1, 3])
        let parts = try eagerResults("split", ["x": a], ["num_splits": 3, "axis": 1])
        #expect(parts.map { $0.array(of: Float.self) } == [[1, 4], [2, 5], [3, 6]])
        #expect(failure { try eager("split", ["x": a], ["num_splits": 3, "axis": 1]) }?.kind == .invalidArgument)
        #expect(failure { try eager("split", ["x": nil]) }?.kind == .invalidArgument)
        #expect(failure { try eager("no_such_op", ["x": a]) }?.kind == .unsupported)
        #expect(failure { try eager("relu", ["z": a]) }?.message.contains("'z'") == true)
    }

    @Test func constantsAreToldApartByContent() throws {
        for axis in [0, 1, 0] {
            check(try a.sum(axes: [axis]), axis == 0 ? [3] : [2], axis == 0 ? [5, 7, 9] : [6, 15])
        }
        #expect(Constant([1, 2]) == [1, 2] && Constant([1, 2]).hashValue == Constant([1, 2]).hashValue)
        #expect(Constant(1) != 1.0 && Constant("a") != "b" && Constant([1]) != 1)
        let (large, same) = (Tensor.zeros([1000]), Tensor.zeros([1000]))
        #expect(Constant(large) == Constant(large) && Constant(large) != Constant(same))
        #expect(Constant(1 << 40).tensor.dtype == .int64)
    }

    @Test func manyThreadsAndManyConstants() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for task in 0..<4 {
                group.addTask {
                    for turn in 0..<400 {
                        // More constants than are kept.
                        let alpha = Float(task * 400 + turn)
                        let x = Tensor([-1] as [Float])
                        let y = try eager("leaky_relu", ["x": x], ["alpha": Constant(Double(alpha))])
                        #expect(y.array(of: Float.self) == [-alpha])
                    }
                }
            }
            try await group.waitForAll()
        }
    }
}

@Suite struct TensorCreationTests {
    @Test func values() {
        #expect(Tensor.zeros([2, 2]).array(of: Float.self) == [0, 0, 0, 0])
        #expect(Tensor.ones([3], dtype: .int16).array(of: Int16.self) == [1, 1, 1])
        #expect(Tensor.full([2, 3], 2.5, dtype: .float64).array(of: Double.self) == [Double](repeating: 2.5, count: 6))
        #expect(Tensor.full([1], 300, dtype: .uint8).array(of: UInt8.self) == [255])
        #expect(Tensor.full([1], .nan, dtype: .int32).array(of: Int32.self) == [0])
        #expect(Tensor.zeros([0, 3]).count == 0)
        #expect(Tensor.eye(2).array(of: Float.self) == [1, 0, 0, 1])
        #expect(Tensor.eye(2, 3, dtype: .int8).array(of: Int8.self) == [1, 0, 0, 0, 1, 0])
        let complex = Tensor.ones([2], dtype: .complex64)
        let parts = Tensor(TensorType(.float32, [4]), storage: complex.storage).array(of: Float.self)
        #expect(parts == [1, 0, 1, 0])
        #expect(Tensor.arange(4).array(of: Int32.self) == [0, 1, 2, 3])
        #expect(Tensor.arange(5, 0, step: -2).array(of: Int32.self) == [5, 3, 1])
        #expect(Tensor.arange(1 << 40, 1 << 40 + 2).array(of: Int64.self) == [1 << 40, 1 << 40 + 1])
        #expect(Tensor.arange(0, 1, step: 0.25).array(of: Float.self) == [0, 0.25, 0.5, 0.75])
    }

    @Test func randomNumbersAreOfTheirDistribution() {
        let normal = Tensor.randn([256, 256]).array(of: Float.self)
        let mean = normal.reduce(0, +) / Float(normal.count)
        let variance = normal.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Float(normal.count)
        #expect(abs(mean) < 0.03 && abs(variance - 1) < 0.05)
        let even = Tensor.rand([256, 256], from: -2, to: 2).array(of: Float.self)
        #expect(even.allSatisfy { $0 >= -2 && $0 < 2 })
        #expect(abs(even.reduce(0, +) / Float(even.count)) < 0.05)
        #expect(even.contains { $0 < -1.9 } && even.contains { $0 > 1.9 })
    }

    @Test func seedsRepeat() {
        func numbers(_ seed: UInt64?) -> [Float] { Tensor.randn([64], seed: seed).array() }
        #expect(numbers(7) == numbers(7))
        #expect(numbers(7) != numbers(8))
        #expect(numbers(nil) != numbers(nil))
        #expect(numbers(.max) == numbers(.max))
        #expect(Tensor.rand([4], seed: 1, dtype: .float64).dtype == .float64)
    }
}
