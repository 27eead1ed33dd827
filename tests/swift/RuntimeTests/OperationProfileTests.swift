import MIL
import Runtime
import Testing

@Suite struct OperationProfileTests {
    @Test func workIsCountedByTheTextbook() throws {
        #expect(try OperationProfile("matmul", [512, 512]).work == 2 * 512 * 512 * 512)
        #expect(try OperationProfile("matmul", [4, 16, 32]).work == 2 * 4 * 16 * 32 * 32)
        // A 3 x 3 convolution of 64 channels at 56 x 56, as in ResNet: 115.6 million multiplications with additions.
        #expect(try OperationProfile("conv", [1, 64, 56, 56]).work == 2 * 115_605_504)
        #expect(try OperationProfile("relu", [10, 20]).work == 200)
        #expect(try OperationProfile("random_normal", [1000]).work == 1000)
    }

    @Test func bytesAreWhatGoesInAndOut() throws {
        let profile = try OperationProfile("add", [1000], .float16)
        #expect(profile.bytes == 6000)
        #expect(profile.memoryFootprint == 2000)
        #expect(profile.elements == 1000)
    }

    @Test(arguments: [
        ("matmul", OperationType.matrixMultiplication), ("relu", .activation), ("conv", .convolution),
        ("add", .elementWise), ("random_uniform", .statisticalDistribution), ("reduce_sum", .elementWise),
        ("matrix_multiplication", .matrixMultiplication), ("MatrixMultiplication", .matrixMultiplication),
        ("ElementWise", .elementWise), ("ComplexNumber", .complexNumber), ("custom_kernel", .customKernel),
        ("DistributedOp", .distributedOperation), ("StatisticalDistribution", .statisticalDistribution),
    ])
    func namesGiveTypes(_ name: String, _ type: OperationType) throws {
        #expect(try OperationProfile(name, [8]).type == type)
    }

    @Test func complexNumbersAreATypeOfTheirOwn() throws {
        #expect(try OperationProfile("matmul", [8, 8], .complex64).type == .complexNumber)
        #expect(try OperationProfile("add", [8], .complex128).memoryFootprint == 128)
    }

    @Test func whatIsNoOperationIsRefused() {
        #expect(throws: Failure.self) { try OperationProfile("matmull", [8]) }
        #expect(throws: Failure.self) { try OperationProfile("add", [8], .string) }
        #expect(throws: Failure.self) { try OperationProfile("add", [-1]) }
        #expect(throws: Failure.self) { try OperationProfile("add", [1 << 40, 1 << 40]) }
    }

    @Test func aFunctionIsLikeItsDominantOperations() throws {
        var function = Function()
        let x = function.input("x", .tensor(TensorType(.float32, [64, 64])))
        let product = try function.append("matmul", name: "product", ["x": [x], "y": [x]])
        let sum = try function.append("add", name: "sum", ["x": product, "y": [x]])
        function.block.outputs = try function.append("relu", name: "y", ["x": sum])
        let profile = try OperationProfile(function)
        #expect(profile.type == .matrixMultiplication)
        #expect(profile.op == "matmul")
        #expect(profile.work == 2 * 64 * 64 * 64)
        #expect(profile.bytes == 2 * 64 * 64 * 4)
        #expect(profile.calls.count == 3)
    }

    @Test func castsDoNotHideWhatTheyServe() throws {
        var function = Function()
        let x = function.input("x", .tensor(TensorType(.int32, [64])))
        let dtype = function.constant(Tensor("fp32"), name: "dtype")
        let wide = try function.append("cast", name: "wide", ["x": [x], "dtype": [dtype]])
        function.block.outputs = try function.append("add", name: "y", ["x": wide, "y": wide])
        #expect(try OperationProfile(function).op == "add")
    }
}
