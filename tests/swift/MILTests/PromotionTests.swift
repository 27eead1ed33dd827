import Testing

@testable import MIL

/// The promotion tables of the Python array API standard 2024.12, "Type Promotion Rules".
@Suite struct PromotionTests {
    private static let table: [(DataType, DataType, DataType)] = [
        (.int8, .int16, .int16), (.int8, .int64, .int64), (.int16, .int32, .int32), (.int32, .int64, .int64),
        (.uint8, .uint16, .uint16), (.uint8, .uint64, .uint64), (.uint32, .uint64, .uint64),
        (.int8, .uint8, .int16), (.int8, .uint16, .int32), (.int8, .uint32, .int64),
        (.int16, .uint8, .int16), (.int16, .uint16, .int32), (.int16, .uint32, .int64),
        (.int32, .uint8, .int32), (.int32, .uint16, .int32), (.int32, .uint32, .int64),
        (.int64, .uint8, .int64), (.int64, .uint16, .int64), (.int64, .uint32, .int64),
        (.float32, .float64, .float64), (.complex64, .complex128, .complex128),
        (.float32, .complex64, .complex64), (.float32, .complex128, .complex128),
        (.float64, .complex64, .complex128), (.float64, .complex128, .complex128),
    ]

    @Test func followsTheStandard() {
        for (a, b, both) in PromotionTests.table {
            #expect(a.promoted(with: b) == both, "\(a) with \(b)")
            #expect(b.promoted(with: a) == both, "\(b) with \(a)")
        }
        for dtype in DataType.allCases { #expect(dtype.promoted(with: dtype) == dtype) }
    }

    @Test func answersWhatTheStandardLeavesOpen() {
        #expect(DataType.int64.promoted(with: .uint64) == .float64)
        #expect(DataType.int64.promoted(with: .float16) == .float16)
        #expect(DataType.bool.promoted(with: .uint8) == .uint8)
        #expect(DataType.float16.promoted(with: .complex64) == .complex64)
        #expect(DataType.string.promoted(with: .float32) == nil)
    }
}
