import MIL
import ModelFiles
import Testing

/// What we read is what coremltools says the packages contain.
@Suite struct ReadTests {
    @Test(arguments: Fixtures.names) func operationsAreThoseOfCoremltools(_ name: String) throws {
        let model = try readModel(at: Fixtures.package(name))
        let expected = try Fixtures.expected(name)
        let function = try model.program.function()
        #expect(expected["specificationVersion"] == .integer(model.specificationVersion))
        guard case .array(let all)? = expected["operations"] else {
            Issue.record("no operations")
            return
        }
        let operations = all.filter { $0["op"] != .string("classify") }
        #expect(operations.map { $0["op"]?.string } == function.operations.map(\.op))
        for (wanted, operation) in zip(operations, function.operations) {
            let arguments = Dictionary(
                uniqueKeysWithValues: operation.arguments.map { argument in
                    (argument.name, JSON.array(argument.values.map { .string(function[$0].name) }))
                })
            let wantedArguments = Dictionary(
                uniqueKeysWithValues: (wanted["arguments"]?.members ?? []).map { ($0.name, $0.value) })
            for (name, value) in arguments { #expect(wantedArguments[name] == value, "\(operation.op) \(name)") }
            #expect(arguments.count == wantedArguments.count)
            guard case .array(let outputs)? = wanted["outputs"] else {
                Issue.record("no outputs")
                return
            }
            for (output, id) in zip(outputs, operation.outputs) {
                let type = try function.tensorType(id)
                #expect(output["name"] == .string(function[id].name))
                #expect(output["dtype"] == .string(type.dtype.name))
                #expect(output["shape"] == .array(type.shape.map { .integer($0) }))
            }
        }
    }

    @Test(arguments: Fixtures.names) func constantsAreThoseOfCoremltools(_ name: String) throws {
        let function = try readModel(at: Fixtures.package(name)).program.function()
        let constants = try #require(try Fixtures.expected(name)["constants"]?.members)
        #expect(!constants.isEmpty)
        for constant in constants {
            guard let value = function.values.first(where: { $0.name == constant.name }) else {
                // The labels of a classifier are part of the interface.
                #expect(constant.value["dtype"] == .string("string"))
                continue
            }
            let tensor = try #require(value.constant)
            #expect(constant.value["dtype"] == .string(tensor.dtype.name))
            #expect(constant.value["shape"] == .array(tensor.shape.map { .integer($0) }))
            guard case .array(let elements)? = constant.value["values"] else {
                Issue.record("no values")
                continue
            }
            #expect(elements.count == tensor.count)
            for (index, element) in elements.enumerated() {
                switch element {
                case .string(let text): #expect(tensor.strings[index] == text)
                case .bool(let flag): #expect((tensor.double(at: index) != 0) == flag)
                case .integer(let number): #expect(tensor.double(at: index) == Double(number))
                case .number(let number): #expect(tensor.double(at: index) == number)
                default: Issue.record("\(element)")
                }
            }
        }
    }

    @Test func metadataAndInterface() throws {
        let model = try readModel(at: Fixtures.package("layers"))
        #expect(model.metadata.author == "Martlet")
        #expect(model.metadata.shortDescription == "three layers")
        #expect(model.metadata.userDefined["purpose"] == "tests")
        let interface = try model.interface()
        #expect(interface.inputs == [Feature("x", .multiArray(.init(.float32, [1, 3, 8, 8])))])
        #expect(interface.outputs.map(\.name) == ["probabilities"])
        #expect(throws: Failure.self) { try model.interface("other") }
    }

    @Test func classifiersKeepTheirLabelsInTheInterface() throws {
        let model = try readModel(at: Fixtures.package("classified"))
        let interface = try model.interface()
        let classifier = try #require(interface.classifier)
        #expect(classifier.labels == .strings(["cat", "dog", "bird"]))
        #expect(classifier.labelFeature == "classLabel")
        #expect(interface.predictedFeature == "classLabel")
        #expect(interface.predictedProbabilities == classifier.probabilitiesFeature)
        let function = try model.program.function()
        #expect(function.outputs.map { function[$0].name } == [classifier.scores])
        #expect(interface.outputs.contains(Feature("classLabel", .string)))
        #expect(interface.outputs.contains(Feature(classifier.probabilitiesFeature, .dictionary(key: .string))))
    }

    @Test func flexibleShapesAreUnknownDimensionsWithRanges() throws {
        let model = try readModel(at: Fixtures.package("flexible"))
        let ranges = [Feature.SizeRange(1, 4), Feature.SizeRange(6, 6)]
        #expect(try model.interface().inputs[0].kind == .multiArray(.init(.float32, [2, 6], .ranges(ranges))))
        let function = try model.program.function()
        #expect(try function.tensorType(function.inputs[0]) == TensorType(.float32, [-1, 6]))
    }

    @Test(arguments: ["compressed16", "compressed18"]) func compressedWeightsAreArguments(_ name: String) throws {
        let function = try readModel(at: Fixtures.package(name)).program.function()
        let weight = function.operations[0]
        #expect(weight.op.hasPrefix("constexpr_"))
        let data = try #require(weight["quantized_data"] ?? weight["data"])
        #expect(function[data[0]].constant?.type == TensorType(.int8, [16, 16]))
        #expect(try function.tensorType(weight.outputs[0]) == TensorType(.float32, [16, 16]))
    }

    @Test func bareDescriptionsAreReadWhereTheyHoldAnMLProgram() throws {
        let source = try Fixtures.copy("flexible")
        let path = try Fixtures.scratch() + "/flexible.mlmodel"
        try source.write(source.bytes(source.model), to: path)
        #expect(try readModel(at: path).program.function().operations.count == 3)
    }
}
